#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays docs/reference/conformance.md beside the tests.

A test names the behaviour that it shows in a comment (`// EX-001`). The page has a table row for
each identifier: | EX-001 | what happens | state | where |, with the state `kept`, `different`,
`not offered` or `not yet`. A table of areas has the counts: | EX name | lines | kept | different |
not offered | not yet |, and as its last row their sum: | All | ... |. It is an error

- if a row says `kept`, or names a test file, and no comment there has the identifier;
- if a comment names an identifier that the page does not have, or has as `not offered` or
  `not yet`;
- if the rows of an area are not numbered from 1 to the number of lines that the table gives it, so
  that a line of the catalogue is missing; if the table does not count the states as the rows
  have them, misses an area, or adds up wrongly;
- if a row is not of that form, an identifier comes twice, or a state other than `kept` gives no
  reason;
- if the comment is in a test or in a contract, and not directly above a case;
- if a case of a contract, `CONTRACT_TEST_CASE_DEFINE(..., contract_x)`, is applied to no executor.
"""

import pathlib
import re
import sys
import tempfile

PAGE = "docs/reference/conformance.md"
STATES = ("kept", "different", "not offered", "not yet")
WITHOUT_TEST = ("not offered", "not yet")
SUFFIXES = (".cpp", ".hpp", ".py", ".sh", ".build", ".pml")
IDENTIFIER = re.compile(r"\b[A-Z]{2}-\d{3}\b")
COMMENT = re.compile(r"(?://|#|/\*).*")
ROW = re.compile(r"^\|\s*([A-Z]{2}-\d{3})\s*\|(.*)\|$")
AREA = re.compile(r"^\|\s*([A-Z]{2}) [^|]+\|([\s\d|]+)\|$")
ALL = re.compile(r"^\|\s*All\s*\|([\s\d|]+)\|$")
DEFINED = re.compile(r"TEST_CASE_DEFINE\(.*?\b(contract_\w+)\)\s*\{", re.DOTALL)
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


def miscounted(rows, areas, total):
    """What does not fit between the rows, {identifier: state}, and the table of areas,
    {area: counts}, with its sum. Counts: the number of lines, then one number for each state."""
    found = []
    for area in sorted({identifier[:2] for identifier in rows} - set(areas)):
        found.append(f"{PAGE}: the table of areas does not have {area}")
    for area, counts in areas.items():
        states = [state for identifier, state in rows.items() if identifier.startswith(area)]
        expected = {f"{area}-{number:03}" for number in range(1, counts[0] + 1)}
        actual = {identifier for identifier in rows if identifier.startswith(area)}
        for identifier in sorted(expected - actual):
            found.append(f"{PAGE}: {identifier} has no row; {area} has {counts[0]} lines")
        for identifier in sorted(actual - expected):
            found.append(f"{PAGE}: {identifier} is more than the {counts[0]} lines of {area}")
        counted = [states.count(state) for state in STATES]
        if counts[1:] != counted:
            found.append(f"{PAGE}: {area} has {counts[1:]} in the table of areas, and in the rows "
                         f"{counted}: {', '.join(STATES)}")
    sums = [sum(column) for column in zip(*areas.values())]
    if total != sums:
        found.append(f"{PAGE}: the last row of the table of areas says {total}; "
                     f"they add up to {sums}")
    return found


def counts_of(cells):
    """The numbers of a row of the table of areas; None if it has too few, too many or others."""
    numbers = [cell.strip() for cell in cells.split("|")]
    if len(numbers) != 1 + len(STATES) or not all(number.isdigit() for number in numbers):
        return None
    return [int(number) for number in numbers]


def check(root):
    named = named_in_tests(root)
    page = root / PAGE
    found, seen = misplaced(root), set()
    rows, areas, total = {}, {}, None
    for number, line in enumerate(page.read_text().splitlines() if page.exists() else (), 1):
        area, everything = AREA.match(line), ALL.match(line)
        if area or everything:
            counts = counts_of((area or everything).groups()[-1])
            if counts is None:
                found.append(f"{PAGE}:{number}: not of the form | area | lines | "
                             f"{' | '.join(STATES)} |")
            elif area:
                areas[area.group(1)] = counts
            else:
                total = counts
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
        rows[identifier] = state
        files = set(LINK.findall(where))
        if state == "kept" and not files:
            found.append(f"{place}: kept, but no test is named")
        if state != "kept" and not LINK.sub("", where).strip(" ,;"):
            found.append(f"{place}: {state}, but no reason is given")
        if state in WITHOUT_TEST and identifier in named:
            found.append(f"{place}: {state}, but {sorted(named[identifier])} has it")
        for file in sorted(files - named.get(identifier, set())):
            found.append(f"{place}: there is no comment with it in {file}")
    for identifier in sorted(set(named) - seen):
        found.append(f"{', '.join(sorted(named[identifier]))}: {identifier} is not in {PAGE}")
    return found + (miscounted(rows, areas, total) if rows or areas else [])


def row(identifier, state, where, what="It does."):
    return f"| {identifier} | {what} | {state} | {where} |"


def with_areas(page):
    """The page of a sample with the table of areas that its rows ask for."""
    table, sums = [], [0] * (1 + len(STATES))
    rows = [ROW.match(line) for line in page.splitlines()]
    states = {row.group(1): row.group(2).split("|")[1].strip() for row in rows if row}
    for area in sorted({identifier[:2] for identifier in states}):
        own = [state for identifier, state in states.items() if identifier.startswith(area)]
        counts = [len(own)] + [own.count(state) for state in STATES]
        sums = [a + b for a, b in zip(sums, counts)]
        table.append(f"| {area} Area | {' | '.join(map(str, counts))} |")
    return "\n".join(table + [f"| All | {' | '.join(map(str, sums))} |", page]) if table else page


A_TEST = "[a_test](../../tests/a_test.cpp)"
TABLE = "| EX Area | 1 | 0 | 0 | 0 | 1 |\n| All | 1 | 0 | 0 | 0 | 1 |\n"
A_CONTRACT = 'CONTRACT_TEST_CASE_DEFINE("it does (mostly); {so}", F,\n  contract_one) {'
SAMPLES = [
    # A page without a table of areas is given one that fits.
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
    (row("EX-001", "not offered", "there is no need"), "", None),
    (row("EX-001", "not offered", ""), "", "no reason"),
    (row("EX-001", "not offered", "there is no need"), "// EX-001", "not offered, but"),
    ("", "// EX-001", "EX-001 is not in"),
    # numbers: a line that is left out, and tables that do not fit the rows
    (row("EX-002", "not yet", "needs processes"), "", "EX-001 has no row; EX has 1 lines"),
    (row("EX-002", "not yet", "needs processes"), "", "EX-002 is more than the 1 lines of EX"),
    ("| EX Area | 1 | 0 | 0 | 0 | 0 |\n| All | 1 | 0 | 0 | 0 | 0 |", "", "EX-001 has no row"),
    (TABLE + row("EX-001", "not yet", "later"), "", None),
    (TABLE + row("EX-001", "different", "so"), "", "EX has [0, 0, 0, 1] in the table of areas"),
    (TABLE + row("FU-001", "not yet", "later"), "", "does not have FU"),
    (TABLE.replace("All | 1", "All | 2") + row("EX-001", "not yet", "later"), "", "add up to"),
    (TABLE.replace("| All", "| Sum") + row("EX-001", "not yet", "later"), "", "says None"),
    (TABLE.replace("EX Area | 1 | 0", "EX Area | 1") + row("EX-001", "not yet", "later"), "",
     "not of the form | area"),
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
            full = page if "Area" in page else with_areas(page)
            for name, text in ((PAGE, full), ("tests/a_test.cpp", test),
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
