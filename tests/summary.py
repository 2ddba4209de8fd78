#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what a run of `meson test` did, from its testlog.json.

    summary.py LOG...      prints the log tail of what failed, then `passed failed skipped`

Programs called *_test are doctest programs: their cases are counted, and without doctest's own
summary line, or without a single case, they failed, whatever their exit status. Any other test
counts as one. A crash, a time limit or a report of a sanitizer at exit is at least one failure.
"""

import json
import pathlib
import re
import sys

CASES = re.compile(
    r"^\[doctest\] test cases:"
    r"\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped",
    re.MULTILINE)
# A program runs the cases of one of its files; doctest counts all others as skipped.
SKIPPED = re.compile(r"^\[siding\] skipped by their own condition: (\d+)$", re.MULTILINE)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TAIL_LINES = 60


def count(record):
    """Returns (passed, failed, skipped, why it failed or None)."""
    output = COLOUR.sub("", (record.get("stdout") or "") + (record.get("stderr") or ""))
    result = record["result"]
    if result == "SKIP":
        return 0, 0, 1, None
    succeeded = result in ("OK", "EXPECTEDFAIL")
    status = f"{result}, exit status {record.get('returncode')}"
    is_doctest = (record.get("command") or [""])[0].endswith("_test")
    if not is_doctest:
        return (1, 0, 0, None) if succeeded else (0, 1, 0, status)

    summaries = CASES.findall(output)
    if not summaries:
        return 0, 1, 0, f"{status}, ended without a doctest summary"
    ran, passed, failed, _ = map(int, summaries[-1])
    own = SKIPPED.findall(output)
    if not own:
        return passed, max(failed, 1), 0, f"{status}, did not say how many cases skip themselves"
    skipped = int(own[-1])
    if not succeeded:
        return passed, max(failed, 1), skipped, status
    if failed > 0:
        return passed, failed, skipped, f"{status} in spite of failed cases"
    if ran == 0 and skipped == 0:
        return 0, 1, 0, "no test case ran"
    return passed, 0, skipped, None


def summarize(logs):
    totals, failures = [0, 0, 0], []
    for log in logs:
        for line in pathlib.Path(log).read_text(errors="replace").splitlines():
            record = json.loads(line)
            *numbers, why = count(record)
            totals = [a + b for a, b in zip(totals, numbers)]
            if why:
                failures.append((record, why))
    return totals, failures


def show(record, why):
    output = ((record.get("stdout") or "") + (record.get("stderr") or "")).splitlines()
    print(f"\n----- FAILED: {record['name']} ({why}) after {record.get('duration', 0):.1f} s")
    if len(output) > TAIL_LINES:
        print(f"... {len(output) - TAIL_LINES} lines before this, see meson-logs/testlog.txt ...")
    print("\n".join(output[-TAIL_LINES:]))


def line(ran, passed, failed, skipped, others=0):
    return (f"[siding] skipped by their own condition: {skipped}\n[doctest] test cases:  {ran} | "
            f"{passed} passed | {failed} failed | {skipped + others} skipped\n")


SAMPLES = [
    # result, return code, command, output -> passed, failed, skipped
    ("OK", 0, "a_test", line(3, 3, 0, 1), (3, 0, 1)),
    ("FAIL", 1, "a_test", line(3, 1, 2, 0), (1, 2, 0)),
    ("FAIL", 23, "a_test", line(3, 3, 0, 0) + "LeakSanitizer", (3, 1, 0)),
    ("FAIL", -11, "a_test", "no summary", (0, 1, 0)),
    ("OK", 0, "a_test", "left with _exit(0)", (0, 1, 0)),
    ("OK", 0, "a_test", line(0, 0, 0, 0), (0, 1, 0)),
    ("OK", 0, "a_test", line(0, 0, 0, 2), (0, 0, 2)),
    ("OK", 0, "a_test", line(3, 3, 0, 1, others=1000), (3, 0, 1)),
    ("OK", 0, "a_test", line(0, 0, 0, 0, others=1000), (0, 1, 0)),
    ("OK", 0, "a_test", line(3, 3, 0, 1).partition("\n")[2], (3, 1, 0)),
    ("TIMEOUT", -15, "a_test", None, (0, 1, 0)),
    ("TIMEOUT", -15, "check.py", None, (0, 1, 0)),
    ("SKIP", 77, "a_test", "skipped: no ring", (0, 0, 1)),
    ("OK", 0, "check.py", "ok", (1, 0, 0)),
    ("FAIL", 1, "check.py", "bad", (0, 1, 0)),
    ("ERROR", 99, "check.py", "", (0, 1, 0)),
    ("INTERRUPT", 1, "a_test", "", (0, 1, 0)),
]


def self_test():
    failures = []
    for result, code, command, output, expected in SAMPLES:
        record = {"result": result, "returncode": code, "command": ["/x/" + command],
                  "stdout": output}
        got = count(record)
        if got[:3] != expected or (got[1] > 0) != (got[3] is not None):
            failures.append(f"{result} {command} {output!r}: expected {expected}, got {got}")
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    totals, failures = summarize(sys.argv[1:])
    for record, why in failures:
        show(record, why)
    print(*totals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
