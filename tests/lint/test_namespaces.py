#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses a test file whose content is not in a namespace of its own, and cases in headers.

The files of a test program may be compiled as one unit. Unnamed namespaces are then one and the
same, so helpers of one name collide, or worse, are found where none was written. The content of
x_test.cpp is therefore in `namespace siding_test::x_test`, down to the end of the file.

The cases of a program are chosen by the name of their file, so one in a header would never run.
"""

import pathlib
import re
import sys
import tempfile

FOLDERS = ("tests", "tests/stress")


def check(root):
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("*_test.cpp")):
            name = f"siding_test::{path.stem}"
            text = path.read_text().rstrip("\n")
            place = path.relative_to(root)
            if not re.search(rf"^namespace {name} {{$", text, re.MULTILINE):
                found.append(f"{place}: has no `namespace {name} {{`")
            elif not text.endswith(f"\n}}  // namespace {name}"):
                found.append(f"{place}: does not end with `}}  // namespace {name}`")
    for path in sorted([*root.glob("tests/*.hpp"), *root.glob("tests/support/*.hpp")]):
        if re.search(r"\bTEST_CASE\(", path.read_text()):
            found.append(f"{path.relative_to(root)}: its TEST_CASE is in no test")
    return found


def self_test():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text, expected in (
                ("tests/a_test.cpp", "{n} {{\n}}  // {n}\n", None),
                ("tests/b_test.cpp", "namespace {{\n}}  // namespace\n", "has no"),
                ("tests/stress/c_test.cpp", "{n} {{\n}}  // {n}\n\nTEST_CASE()", "does not end"),
                ("tests/support/e.hpp", "TEST_CASE(", "is in no test"),
                ("tests/f.hpp", "CONTRACT_TEST_CASE_DEFINE(", None),
                ("tests/d_test.cpp", "{n}2 {{\n}}  // {n}2\n", "has no")):
            path = root / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(n=f"namespace siding_test::{path.stem}"))
            got = check(root)
            if (expected is None) != (got == []) or (expected and expected not in got[0]):
                failures.append(f"{path.name}: expected {expected}, got {got}")
            path.unlink()
    return failures


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
