"""Rust files as text: their functions, comments and closures, found without a compiler.

Inline modules under `#[cfg(test)]` are cut off, and files that only a test build compiles are left out. Comments and the
insides of literals are blanked before anything is searched for, so a brace in a string does not count.
"""

import re

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?<!\w)[bc]?r(?P<hashes>\#*)".*?"(?P=hashes)
      | "(?:\\.|[^"\\])*"
      | '(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])'""",
    re.VERBOSE | re.DOTALL,
)
TEST_MODULE = (
    r"#\[cfg\((?:test|all\([^\]]*\btest\b[^\]]*)\)\]\s*"
    r"(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*"
)
FUNCTION = re.compile(r"\bfn\s+(\w+)")
DOC_LINE = re.compile(r"\s*(///(?!/)|//!) ?(.*)")
COMMENT_LINE = re.compile(r"\s*//(?![/!]) ?(.*)")
LET = r"\blet\s+(?:mut\s+)?(\w+)\s*(?::[^=;]+)?="
CLOSURE = re.compile(LET + r"\s*(?:async\s+)?(?:move\s+)?\|")
BINDING = re.compile(LET + r"(?!=)")
OF_TRAIT = re.compile(r"\b(?:impl\b[^{;]*\bfor\b[^{;]*|trait\s[^{;]*)\{")
SPACE = re.compile(r"\s*")
BRACKET = re.compile(r"[\[({]|[\])}]")


def masked(text):
    """Returns the text with comments and the insides of literals replaced by spaces, line for line."""

    def blank(match):
        whole = match.group()
        spaces = re.sub(r"[^\n]", " ", whole)
        return spaces if match.group("comment") else whole[0] + spaces[1:-1] + whole[-1]

    return TOKEN.sub(blank, text)


def closing(code, at):
    """Returns the place of the bracket that closes the one at `at`."""
    depth = 0
    for match in BRACKET.finditer(code, at):
        depth += 1 if match.group() in "[({" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


def outside_brackets(code, at, stops):
    """Returns the place of the first of `stops` before the enclosing block ends, or None."""
    while at < len(code):
        if code[at] in stops:
            return at
        if code[at] in "])}":
            return None
        at = closing(code, at) + 1 if code[at] in "[({" else at + 1
    return None


def occurrences(name, code):
    """Returns how often a name occurs as a word of its own."""
    return len(re.findall(rf"\b{name}\b", code))


class Function:
    """A function with a body, from its `fn` to its closing brace."""

    def __init__(self, source, match, end):
        self.name, self.start, self.end = match.group(1), match.start(), end
        self.line = source.line_at(self.start)
        self.length = source.code.count("\n", self.start, end) + 1
        self.is_private = "pub" not in source.code[: self.start].rsplit("\n", 1)[-1]


class Source:
    """A file without its inline tests."""

    def __init__(self, path):
        self.path = path
        self.text = without_test_modules(path.read_text())
        self.code = masked(self.text)
        self.lines = self.text.splitlines()
        self.functions = list(self._functions())

    def line_at(self, place):
        return self.code.count("\n", 0, place) + 1

    def _functions(self):
        for match in FUNCTION.finditer(self.code):
            opening = outside_brackets(self.code, match.end(), "{;")
            if opening is not None and self.code[opening] == "{":
                yield Function(self, match, closing(self.code, opening))

    def doc_blocks(self):
        """Yields line and text of each block of documentation."""
        start, marker, text = 0, None, []
        for number, line in enumerate([*self.lines, ""], 1):
            match = DOC_LINE.match(line)
            if match and match.group(1) == marker:
                text.append(match.group(2))
                continue
            if marker:
                yield start, "\n".join(text).strip()
            start, marker, text = (number, match.group(1), [match.group(2)]) if match else (0, None, [])

    def comments(self):
        """Yields line number of each `//` comment, and whether it belongs to a `SAFETY:` comment."""
        is_safety = False
        for number, line in enumerate(self.lines, 1):
            match = COMMENT_LINE.match(line)
            is_safety = bool(match) and (is_safety or match.group(1).startswith("SAFETY:"))
            if match:
                yield number, is_safety

    def closures(self):
        """Yields line, name and number of uses of each closure that is bound to a name."""
        for match in CLOSURE.finditer(self.code):
            around = [f for f in self.functions if f.start <= match.start() <= f.end]
            if around:
                end = max(around, key=lambda f: f.start).end
                uses = occurrences(match.group(1), self.code[match.end() : end])
                yield self.line_at(match.start()), match.group(1), uses

    def rebindings(self):
        """Yields line and name of each `let x = … x …` that directly follows a `let x = …`."""
        for match in BINDING.finditer(self.code):
            end = outside_brackets(self.code, match.end(), ";")
            again = end and BINDING.match(self.code, SPACE.match(self.code, end + 1).end())
            if again and again.group(1) == match.group(1):
                last = outside_brackets(self.code, again.end(), ";")
                if occurrences(match.group(1), self.code[again.end() : last]):
                    yield self.line_at(again.start()), match.group(1)

    def short_single_use_functions(self):
        """Yields each private function of at most 12 lines that its file uses once. Trait methods do not count."""
        traits = [(m.start(), closing(self.code, m.end() - 1)) for m in OF_TRAIT.finditer(self.code)]
        for function in self.functions:
            is_method_of_trait = any(start <= function.start <= end for start, end in traits)
            is_candidate = function.is_private and function.length <= 12 and not is_method_of_trait
            if is_candidate and occurrences(function.name, self.code) == 2:
                yield function


def without_test_modules(text):
    code = masked(text)
    for match in reversed(list(re.finditer(TEST_MODULE + r"\{", code))):
        end = closing(code, match.end() - 1) + 1
        text = text[: match.start()] + text[end:].lstrip("\n")
    return text


def production_files(folder):
    """Returns the paths of the files that a build without tests compiles, in their order."""
    paths = sorted(folder.rglob("*.rs"))
    test_only = set()
    for path in paths:
        below = path.parent if path.name in ("lib.rs", "main.rs", "mod.rs") else path.with_suffix("")
        for match in re.finditer(TEST_MODULE + ";", masked(path.read_text())):
            test_only.add(below / match.group(1))
    return [p for p in paths if not test_only & {p.with_suffix(""), *p.parents}]
