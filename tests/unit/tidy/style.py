#!/usr/bin/env python3
"""Measures the shape and the wording of the sources. Exits 1 when a bound is broken.

    make style                            the table, the bounds, and the first offenders of each broken bound
    python3 tests/unit/tidy/style.py --list    every offender of every bound, and of the measures without a bound

Each row of the table is a top-level module of src/; the last one is tests/. Only production code is measured, except
where a bound says otherwise. The bounds hold for src/ as a whole.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median_high

from rust_source import Source, masked, production_files

ROOT = Path(__file__).resolve().parents[3]
PROSE = ["README.md", "SECURITY.md", "CONTRIBUTING.md"]
QUESTION = re.compile(r"(What|Whether|How|Who|Where|Why|When|Which)\b")
FOUR_WORDS = re.compile(r"\b(nobody|somebody|whoever|anew)\b", re.IGNORECASE)
SHOWN = 10


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def percent(part, whole):
    return 100 * part / max(whole, 1)


def measures(files):
    """Returns the row of the table for these files."""
    sizes = [len(f.lines) for f in files]
    lengths = [function.length for f in files for function in f.functions] or [0]
    docs = sum(bool(re.match(r"\s*//[/!]", line)) for f in files for line in f.lines)
    comments = [is_safety for f in files for _, is_safety in f.comments()]
    return {
        "files": len(files),
        "lines": sum(sizes),
        "median": median_high(sizes),
        "p90": quantile(sizes, 0.9),
        "largest": max(sizes),
        "fns": len(lengths),
        "med fn": median_high(lengths),
        "p90 fn": quantile(lengths, 0.9),
        "p99 fn": quantile(lengths, 0.99),
        "longest": max(lengths),
        ">40": sum(length > 40 for length in lengths),
        ">70": sum(length > 70 for length in lengths),
        "doc %": f"{percent(docs, sum(sizes)):.0f}",
        "// %": f"{percent(len(comments), sum(sizes)):.1f}",
        "SAFETY %": f"{percent(sum(comments), sum(sizes)):.1f}",
    }


def print_table(rows):
    heads = ["code", *rows[0][1]]
    cells = [heads, *([name, *map(str, row.values())] for name, row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for first, *rest in cells:
        print(first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:])), sep="  ")


class Measure:
    """A number with a bound, or without one, and the places in the sources that it counts."""

    def __init__(self, what, value, bound=None, offenders=(), unit=""):
        self.what, self.value, self.bound, self.unit = what, value, bound, unit
        self.offenders = list(offenders)

    def is_broken(self):
        if self.bound is None:
            return False
        relation, limit = self.bound
        return not {"under": self.value < limit, "over": self.value > limit, "at most": self.value <= limit}[relation]

    def print(self, shown):
        verdict = "BROKEN" if self.is_broken() else "ok" if self.bound else ""
        bound = " ".join(map(str, self.bound)) if self.bound else "no bound"
        number = f"{self.value:.1f}" if isinstance(self.value, float) else self.value
        print(f"{verdict:7} {self.what}: {number}{self.unit} ({bound}{self.unit if self.bound else ''})")
        for offender in self.offenders[:shown]:
            print(f"          {offender}")
        if 0 < shown < len(self.offenders):
            print(f"          and {len(self.offenders) - shown} more; --list shows them")


def first_sentence(text):
    return re.split(r"(?<=[.?!])\s", text.replace("\n", " "))[0][:90]


def doc_blocks(files):
    blocks = [(f, line, text) for f in files for line, text in f.doc_blocks()]
    asking = [f"{f.path}:{line} {first_sentence(text)}" for f, line, text in blocks if QUESTION.match(text)]
    share = percent(len(asking), len(blocks))
    return Measure("doc blocks that begin with a question word", share, ("under", 4), asking, " %")


def four_words():
    paths = [*sorted((ROOT / "src").rglob("*.rs")), *sorted((ROOT / "docs").rglob("*.md"))]
    found, places = Counter(), []
    for path in [*paths, *(ROOT / name for name in PROSE)]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for word in FOUR_WORDS.findall(line):
                found[word.lower()] += 1
                places.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}")
    counts = ", ".join(f"{word} {found[word]}" for word in ("nobody", "somebody", "whoever", "anew"))
    return Measure(f"the four words in src, docs and {', '.join(PROSE)} ({counts})", len(places), ("under", 10), places)


def constructors_called_of():
    paths = [path for folder in ("src", "tests") for path in sorted((ROOT / folder).rglob("*.rs"))]
    places = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()[:100]}"
        for path in paths
        for number, line in enumerate(masked(path.read_text()).splitlines(), 1)
        if re.search(r"\bfn of\b", line)
    ]
    return Measure("constructors called `of`, test code included", len(places), ("at most", 0), places)


def closures(files):
    named = [(f, *closure) for f in files for closure in f.closures()]
    single = [f"{f.path}:{line} {name}" for f, line, name, uses in named if uses <= 1]
    thousands = sum(len(f.lines) for f in files) / 1000
    unit = " per 1,000 lines"
    return [
        Measure("closures used at most once", len(single) / thousands, ("under", 1), single, unit),
        Measure("closures with a name", len(named) / thousands, unit=unit),
    ]


def comments(files):
    count = sum(1 for f in files for _ in f.comments())
    lines = sum(len(f.lines) for f in files)
    bare = sorted(files, key=lambda f: sum(1 for _ in f.comments()) - 0.025 * len(f.lines))
    wanting = [f"{f.path} has {sum(1 for _ in f.comments())} in {len(f.lines)} lines" for f in bare]
    return Measure("`//` comments, of all lines", percent(count, lines), ("over", 2.5), wanting[: 3 * SHOWN], " %")


def functions(files):
    found = sorted(((fn, f) for f in files for fn in f.functions), key=lambda pair: -pair[0].length)
    long = [f"{f.path}:{fn.line} {fn.name} has {fn.length} lines" for fn, f in found if fn.length > 40]
    lengths = [fn.length for fn, _ in found]
    short = [f"{f.path}:{fn.line} {fn.name}" for f in files for fn in f.short_single_use_functions()]
    share = percent(len(short), len(found))
    return [
        Measure("longest function", max(lengths), ("under", 70), long, " lines"),
        Measure("median function", median_high(lengths), ("under", 10), unit=" lines"),
        Measure("private functions of at most 12 lines that are used once", share, offenders=short, unit=" %"),
    ]


def rebindings(files):
    found = [f"{f.path}:{line} {name}" for f in files for line, name in f.rebindings()]
    per_thousand = len(found) / sum(len(f.lines) for f in files) * 1000
    return Measure("`let x = …; let x = x…` chains", per_thousand, offenders=found, unit=" per 1,000 lines")


def sources(folder):
    files = [Source(path) for path in production_files(ROOT / folder)]
    for file in files:
        file.path = file.path.relative_to(ROOT)
    return files


def main():
    src, tests = sources("src"), sources("tests")
    rooms = {}
    for file in src:
        room = file.path.parts[1].removesuffix(".rs")
        rooms.setdefault("lib, main" if room in ("lib", "main") else room, []).append(file)
    print_table([("src", measures(src)), *((n, measures(f)) for n, f in rooms.items()), ("tests", measures(tests))])
    print()
    found = [doc_blocks(src), four_words(), constructors_called_of(), *closures(src), comments(src), *functions(src)]
    found.append(rebindings(src))
    broken = [measure for measure in found if measure.is_broken()]
    for measure in found:
        measure.print(len(measure.offenders) if "--list" in sys.argv else SHOWN if measure in broken else 0)
    if broken:
        sys.exit(f"\n{len(broken)} bounds are broken; rewrite the places listed above.")


if __name__ == "__main__":
    main()
