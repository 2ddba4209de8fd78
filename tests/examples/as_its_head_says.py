#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that an example prints exactly what its head comment says."""

import example


def main():
    done = example.run()
    problems = example.ended_well(done)
    expected = example.promised_output(example.source())
    if done.stdout.splitlines() != expected:
        problems.append(f"the head says {expected}, but it printed {done.stdout.splitlines()}")
    return problems


if __name__ == "__main__":
    example.finish(main())
