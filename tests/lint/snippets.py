#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses C++ in README.md or docs/ that is not, word for word, in a file that is compiled.

A block marked `cpp` must stand in a file below examples/ or tests/ as it is, line after line, but
for the indentation. A line `// ...` in it stands for lines that are left out.
"""

import pathlib
import re
import sys
import tempfile
import textwrap

BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "// ..."


def lines_of(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def contains(file, part):
    return any(file[start:start + len(part)] == part
               for start in range(len(file) - len(part) + 1))


def parts_of(block):
    parts = [[]]
    for line in lines_of(textwrap.dedent(block)):
        if line == LEFT_OUT:
            parts.append([])
        else:
            parts[-1].append(line)
    return [part for part in parts if part]


def check(root):
    sources = [lines_of(path.read_text()) for folder in ("examples", "tests")
               for path in sorted((root / folder).rglob("*.[ch]pp"))]
    found = []
    for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        text = page.read_text() if page.exists() else ""
        for block in BLOCK.finditer(text):
            parts = parts_of(block.group(1))
            if not any(all(contains(file, part) for part in parts) for file in sources):
                line = text.count("\n", 0, block.start()) + 1
                found.append(f"{page.relative_to(root)}:{line}: this C++ is in no file below "
                             "examples/ or tests/")
    return found


SAMPLES = [
    ({"README.md": "```cpp\nint a;\n\n  int b;\n```", "examples/a.cpp": "int a;\nint b;\nint c;"},
     None),
    ({"docs/x/a.md": "```cpp\nint a;\n// ...\nint c;\n```",
      "tests/a.hpp": "int a;\nint b;\nint c;"}, None),
    ({"README.md": "```text\nint a;\n```\n```sh\nint a\n```"}, None),
    ({"README.md": "x\n```cpp\nint a;\nint c;\n```", "examples/a.cpp": "int a;\nint b;\nint c;"},
     "README.md:2: "),
    ({"docs/a.md": "```cpp\nint a;\n```", "src/a.cpp": "int a;"}, "docs/a.md:1: "),
    ({"README.md": "```cpp\nint a;\n// ...\nint b;\n```", "examples/a.cpp": "int a;",
      "examples/b.cpp": "int b;"}, "README.md:1: "),
]


def self_test():
    failures = []
    for files, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
            got = check(pathlib.Path(folder))
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{files}: expected {expected}, got {got}")
    return failures


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
