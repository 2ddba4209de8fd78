#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays docs/reference/conformance.md beside the tests.

A test names the behaviour that it shows in a comment (`// EX-001`). The page has a table row for
each identifier: | EX-001 | what happens | state | where |, with the state `kept`, `different` or
`not yet`. It is an error

- if a row says `kept`, or names a test file, and no comment there has the identifier;
- if a comment names an identifier that the page does not have, or has as `not yet`;
- if a row is not of that form, an identifier comes twice, or a state other than `kept` gives no
  reason;
- if the comment is in a test or in a contract, and not directly above a case;
- if a case of a contract, `TEST_CASE_TEMPLATE_DEFINE(..., contract_x)`, is applied to no executor.
"""

import pathlib
import re
import sys
import tempfile

PAGE = "docs/reference/conformance.md"
STATES = ("kept", "different", "not yet")
SUFFIXES = (".cpp", ".hpp", ".py", ".sh", ".build", ".pml")
IDENTIFIER = re.compile(r"\b[A-Z]{2}-\d{3}\b")
COMMENT = re.compile(r"(?://|#|/\*).*")
ROW = re.compile(r"^\|\s*([A-Z]{2}-\d{3})\s*\|(.*)\|$")
DEFINED = re.compile(r"TEST_CASE_TEMPLATE_DEFINE\(.*?\b(contract_\w+)\)\s*\{", re.DOTALL)
APPLIED = re.compile(r"^\s*TEST_CASE_TEMPLATE_APPLY\((contract_\w+)\b", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(\.\./\.\./([^)#\s]+)\)")


def named_in_tests(root):
    """{identifier: {file, ...}}"""
    named = {}
    for path in sorted((root / "tests").rglob("*")):
        if path.suffix not in SUFFIXES or "lint" in path.relative_to(root).parts:
            continue
        for line in path.read_text().splitlines():
            comment = COMMENT.search(line)
            for identifier in IDENTIFIER.findall(comment.group(0)) if comment else ():
                named.setdefault(identifier, set()).add(path.relative_to(root).as_posix())
    return named


def misplaced(root):
    """What is wrong with the places of identifiers and of the cases of contracts."""
    found, defined, applied = [], {}, set()
    for path in sorted((root / "tests").rglob("*")):
        if not path.name.endswith(("_test.cpp", "contract.hpp")):
            continue
        name, text = path.relative_to(root).as_posix(), path.read_text()
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            identifiers = IDENTIFIER.findall(line.partition("//")[2])
            if identifiers and "TEST_CASE" not in "".join(lines[number:number + 1]):
                found.append(f"{name}:{number}: {', '.join(identifiers)} is not above a case")
        defined.update(dict.fromkeys(DEFINED.findall(text), name))
        applied.update(APPLIED.findall(text))
    return found + [f"{defined[case]}: {case} is applied to no executor"
                    for case in sorted(set(defined) - applied)]


def check(root):
    named = named_in_tests(root)
    page = root / PAGE
    found, seen = misplaced(root), set()
    for number, line in enumerate(page.read_text().splitlines() if page.exists() else (), 1):
        row = ROW.match(line)
        if not row:
            continue
        identifier, rest = row.groups()
        place = f"{PAGE}:{number}: {identifier}"
        cells = [cell.strip() for cell in rest.split("|")]
        if len(cells) != 3 or not cells[0] or cells[1] not in STATES:
            found.append(f"{place}: not of the form | identifier | what | state | where |")
            continue
        if identifier in seen:
            found.append(f"{place}: comes twice")
        seen.add(identifier)
        _, state, where = cells
        files = set(LINK.findall(where))
        if state == "kept" and not files:
            found.append(f"{place}: kept, but no test is named")
        if state != "kept" and not LINK.sub("", where).strip(" ,;"):
            found.append(f"{place}: {state}, but no reason is given")
        if state == "not yet" and identifier in named:
            found.append(f"{place}: not yet, but {sorted(named[identifier])} has it")
        for file in sorted(files - named.get(identifier, set())):
            found.append(f"{place}: there is no comment with it in {file}")
    for identifier in sorted(set(named) - seen):
        found.append(f"{', '.join(sorted(named[identifier]))}: {identifier} is not in {PAGE}")
    return found


def row(identifier, state, where, what="It does."):
    return f"| {identifier} | {what} | {state} | {where} |"


A_TEST = "[a_test](../../tests/a_test.cpp)"
A_CONTRACT = 'TEST_CASE_TEMPLATE_DEFINE("it does (mostly); {so}", F,\n  contract_one) {'
SAMPLES = [
    # the page, tests/a_test.cpp, what must be found, or None
    (row("EX-001", "kept", A_TEST), "// EX-001\nTEST_CASE", None),
    (row("EX-001", "kept", A_TEST), "// EX-002, EX-001: a note", "EX-002 is not in"),
    (row("EX-001", "kept", A_TEST) + "\n" + row("EX-002", "different", "reason; " + A_TEST),
     "// EX-001, EX-002\nTEST_CASE", None),
    (row("EX-001", "not yet", "needs processes"), "", None),
    ("text about EX-001 | and more |", "", None),
    (row("EX-001", "kept", A_TEST), "", "no comment with it"),
    (row("EX-001", "kept", A_TEST), 'auto x = "EX-001";', "no comment with it"),
    (row("EX-001", "kept", "some test"), "// EX-001", "no test is named"),
    (row("EX-001", "kept", "[b](../../tests/b_test.cpp)"), "// EX-001", "no comment with it"),
    (row("EX-001", "kept", ""), "// EX-001", "no test is named"),
    (row("EX-001", "different", A_TEST), "// EX-001", "no reason"),
    (row("EX-001", "not yet", ""), "", "no reason"),
    (row("EX-001", "not yet", "needs processes"), "// EX-001", "not yet, but"),
    (row("EX-001", "kept", A_TEST) + "\n" + row("EX-001", "kept", A_TEST), "// EX-001", "twice"),
    (row("EX-001", "done", LINK), "// EX-001", "not of the form"),
    (row("EX-001", "kept", A_TEST, ""), "// EX-001", "not of the form"),
    ("", "// EX-001", "EX-001 is not in"),
    ("", "// EX-001\n\nTEST_CASE(", "tests/a_test.cpp:1: EX-001 is not above a case"),
    ("", "int x;  // as EX-001 says", "tests/a_test.cpp:1: EX-001 is not above a case"),
    ("", f"{A_CONTRACT}\nTEST_CASE_TEMPLATE_APPLY(contract_one, All);", None),
    ("", f"{A_CONTRACT}\n// TEST_CASE_TEMPLATE_APPLY(contract_one, All);", "applied to no"),
    ("", A_CONTRACT, "tests/a_test.cpp: contract_one is applied to no executor"),
    ("", f"{A_CONTRACT}\nTEST_CASE_TEMPLATE_APPLY(contract_one_more, All);", "contract_one is"),
]


def self_test():
    failures = []
    for page, test, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in ((PAGE, page), ("tests/a_test.cpp", test),
                               ("tests/lint/x.py", "# EX-999")):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
            got = check(root)
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{page!r} {test!r}: expected {expected}, got {got}")
    return failures


if __name__ == "__main__":
    problems = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
