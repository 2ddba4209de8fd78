#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles a program that is right, and that some compiler refuses.

The second line of the file says which and how:

    // refused by g++ before 12.3: array used as initializer

There the program must be refused, with output that the regular expression matches; one that
compiles is reported and does not fail: the compiler was mended. Elsewhere it must compile.
"""

import os
import re
import subprocess
import sys

HEAD = re.compile(r"^// refused by (\S+) before (\d+)\.(\d+): (.+?)\s*$", re.MULTILINE)


def version_of(path):
    """(major, minor) of a compiler."""
    text = subprocess.run([path, "-dumpfullversion", "-dumpversion"], capture_output=True,
                          text=True, check=True).stdout
    return tuple(int(part) for part in text.strip().split(".")[:2])


def judge(is_refused, is_expected, output, regex):
    """Returns (whether it fails, what to say)."""
    if not is_expected:
        return is_refused, f"refused, and should not be:\n{output}" if is_refused else "compiles"
    if not is_refused:
        return False, "mended: this compiler compiles what it was known to refuse"
    if not re.search(regex, output):
        return True, f"refused, but not with /{regex}/:\n{output}"
    return False, "refused, as expected"


def self_test():
    samples = [((False, False, "", "no"), False), ((True, False, "no", "no"), True),
               ((True, True, "no", "no"), False), ((True, True, "yes", "no"), True),
               ((False, True, "", "no"), False)]
    failures = [f"{given}: not {fails}" for given, fails in samples if judge(*given)[0] != fails]
    print("\n".join(failures) or "ok")
    return 1 if failures else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    compiler, include, source = sys.argv[1:]
    name, path = compiler.split("=", 1)
    with open(source, encoding="ascii") as file:
        culprit, major, minor, regex = HEAD.search(file.read()).groups()
    is_expected = name == culprit and version_of(path) < (int(major), int(minor))
    # An internal error comes only when code is made, so -fsyntax-only would not do.
    run = subprocess.run([path, "-std=c++20", "-c", "-o", os.devnull, "-I", include, source],
                         capture_output=True, text=True, check=False,
                         env={**os.environ, "LC_ALL": "C"})
    fails, text = judge(run.returncode != 0, is_expected, run.stderr, regex)
    print(text)
    return 1 if fails else 0


if __name__ == "__main__":
    sys.exit(main())
