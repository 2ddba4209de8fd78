#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses a header, source or test that no meson.build lists.

Files are listed by name, so one that was forgotten would be neither installed nor built nor run,
and nothing would say so.
"""

import pathlib
import re
import sys
import tempfile

# folder below the root, pattern of its files, the list, how a file is written in that list
RULES = [
    ("include/siding", "**/*.hpp", "include/siding/meson.build", lambda path: path),
    ("src", "**/*.cpp", "src/meson.build", lambda path: path),
    ("tests", "*_test.cpp", "tests/meson.build", lambda path: path.removesuffix("_test.cpp")),
    ("tests/stress", "*_test.cpp", "tests/meson.build",
     lambda path: path.removesuffix("_test.cpp")),
    ("tests/must_not_compile", "*.cpp", "tests/must_not_compile/meson.build",
     lambda path: path.removesuffix(".cpp")),
    ("examples", "*.cpp", "examples/meson.build", lambda path: path.removesuffix(".cpp")),
]


def check(root):
    found = []
    for folder, pattern, listing, spell in RULES:
        build_file = root / listing
        text = build_file.read_text() if build_file.exists() else ""
        listed = re.findall(r"'([^']*)'", re.sub(r"#[^\n]*", "", text))
        for path in sorted((root / folder).glob(pattern)):
            name = spell(path.relative_to(root / folder).as_posix())
            if name not in listed:
                found.append(f"{path.relative_to(root)}: '{name}' is not listed in {listing}")
    return found


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in {
                "src/a.cpp": "", "src/b.cpp": "", "src/meson.build": "files('a.cpp') # 'b.cpp'",
                "tests/a_test.cpp": "", "tests/meson.build": "['a']",
                "include/siding/detail/x.hpp": ""}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        got = check(root)
        expected = ["include/siding/detail/x.hpp", "src/b.cpp"]
        if [line.split(":")[0] for line in got] != expected:
            failures.append(f"expected {expected}, got {got}")
    return failures


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
