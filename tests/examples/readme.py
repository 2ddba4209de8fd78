#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that README's first example is examples/01_hello.cpp, and that its output is real.

The code must be the file without its head comment. The output must be what the program prints, and
what the head says, but for the number of ticks, which depends on the machine.
"""

import pathlib
import re
import sys

import example

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def ticks_and_rest(lines):
    """The numbers of the leading ticks, and the lines after them."""
    ticks = []
    for line in lines:
        tick = re.fullmatch(r"tick (\d+)", line)
        if not tick:
            break
        ticks.append(int(tick.group(1)))
    return ticks, lines[len(ticks):]


def same_form(lines, other):
    """Whether both are ticks from 1 on, at least one, and then the same lines."""
    for ticks, _ in (ticks_and_rest(lines), ticks_and_rest(other)):
        if not ticks or ticks != list(range(1, len(ticks) + 1)):
            return False
    return ticks_and_rest(lines)[1] == ticks_and_rest(other)[1]


def first_example(readme):
    """The first block of C++ and the block of output that follows it, as lines."""
    blocks = BLOCK.findall(readme)
    place = next(number for number, (kind, _) in enumerate(blocks) if kind == "cpp")
    return blocks[place][1], blocks[place + 1][1].splitlines()


def check(readme, source, printed):
    code, output = first_example(readme)
    problems = []
    if code != example.head_and_rest(source)[1]:
        problems.append("README's first example differs from examples/01_hello.cpp")
    if not same_form(output, printed):
        problems.append(f"README shows the output {output}, but it is {printed}")
    if example.promised_output(source) != output:
        problems.append("the head of examples/01_hello.cpp and README show different output")
    return problems


def self_test():
    source = "// Prints:\n//   tick 1\n//   49\n\n#include <x>\nint main() {}\n"
    code = "#include <x>\nint main() {}\n"
    readme = "# x\n```cpp\n{}```\ntext\n```text\ntick 1\n49\n```\n```cpp\nother\n```\n"
    good = readme.format(code)
    cases = [
        (good, source, ["tick 1", "49"], 0),
        (good, source, ["tick 1", "tick 2", "49"], 0),
        (good, source, ["tick 2", "tick 1", "49"], 1),
        (good, source, ["49"], 1),
        (good, source, ["tick 1", "50"], 1),
        (readme.format("int main() {}\n"), source, ["tick 1", "49"], 1),
        (good, source.replace("49", "48"), ["tick 1", "49"], 1),
    ]
    return [f"case {number}: {check(*case[:3])}" for number, case in enumerate(cases)
            if len(check(*case[:3])) != case[3]]


def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    done = example.run()
    readme = pathlib.Path(__file__).parents[2] / "README.md"
    return example.ended_well(done) + check(readme.read_text(), example.source(),
                                            done.stdout.splitlines())


if __name__ == "__main__":
    example.finish(main())
