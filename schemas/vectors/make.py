#!/usr/bin/env python3
"""Makes the testkit, from the specifications and not from the Rust code: see schemas/README.md.

    python3 -m venv .venv && .venv/bin/pip install -r schemas/vectors/requirements.txt
    .venv/bin/python schemas/vectors/make.py

Everything is derived from fixed seeds: the same files come out every time.
"""

from maker import answers, bundles, jobs, known_answers


def main():
    known_answers.check()
    for folder in [jobs.make(), answers.make(), bundles.make()]:
        folder.write()
        print(f"{folder.name}: {len(folder.files)} files")


if __name__ == "__main__":
    main()
