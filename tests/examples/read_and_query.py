#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what read_and_query prints, that the loop went on, and that no file is left behind."""

import os
import re
import tempfile

import example

FORM = re.compile(r"the database file has (\d+) bytes\n"
                  r"its fingerprint is ([0-9a-f]{16})\n"
                  r"the query found (\d+) pairs\n"
                  r"the loop ticked (\d+) times meanwhile\n")


def expected_pairs():
    with_nine = sum("9" in str(i) for i in range(1, 1501))
    return 1500 * 1500 - (1500 - with_nine) ** 2


def main():
    with tempfile.TemporaryDirectory() as folder:
        done = example.run(env={**os.environ, "TMPDIR": folder})
        left = os.listdir(folder)
    problems = example.ended_well(done)
    if left:
        problems.append(f"left behind: {left}")
    found = FORM.fullmatch(done.stdout)
    if not found:
        return problems + [f"not in the expected form: {done.stdout!r}"]
    size, pairs, ticks = (int(found.group(number)) for number in (1, 3, 4))
    if size == 0 or size % 512 != 0:
        problems.append(f"{size} bytes are no database")
    if pairs != expected_pairs():
        problems.append(f"{pairs} pairs, expected {expected_pairs()}")
    if ticks < 2:
        problems.append(f"{ticks} ticks: the loop stood still")
    return problems


if __name__ == "__main__":
    example.finish(main())
