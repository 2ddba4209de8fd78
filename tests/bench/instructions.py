#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions of W6: tests/bench/instructions.py PROGRAM...

PROGRAM is bench_w6_siding of one or more builds, such as one before and one after a change. Each form
runs under valgrind's callgrind with two counts of units; the difference, divided by that of the counts,
is what one unit costs, without the start and the end of the program. Unlike times, it hardly depends
on what else the machine does. Instructions of the kernel are not in it, nor is what they wait for.
"""

import re
import subprocess
import sys

# form, what one unit is, the smaller and the larger count (multiples of the batch of the form)
FORMS = [
    ("call", "co_await child()", 10_000, 210_000),
    ("spawn", "create_task and join", 2_000, 42_000),
    ("cancel", "create_task, sleep, cancel, join", 2_000, 12_000),
]


def instructions(program, form, count):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, form,
               str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected:
        sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stderr}")
    return int(collected.group(1))


def main(programs):
    if not programs:
        sys.exit(__doc__)
    for program in programs:
        print(program)
        for form, unit, few, many in FORMS:
            each = instructions(program, form, many) - instructions(program, form, few)
            print(f"  {unit:34} {each / (many - few):8.1f} instructions")


if __name__ == "__main__":
    main(sys.argv[1:])
