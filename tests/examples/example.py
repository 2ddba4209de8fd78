# SPDX-License-Identifier: MIT
"""What the checks of the examples share. Each is called with the program and its source."""

import os
import pathlib
import re
import subprocess
import sys

SKIP = 77
LIMIT = 60  # seconds


def run(*arguments, env=None):
    """Runs the example; where the kernel refuses a ring, the test is skipped with the reason."""
    done = subprocess.run([sys.argv[1], *arguments], capture_output=True, text=True, check=False,
                          timeout=LIMIT, stdin=subprocess.DEVNULL, env=env)
    refused = done.returncode != 0 and re.search(r"cannot create an io_uring.*", done.stderr)
    if refused and os.environ.get("SIDING_REQUIRE_IO_URING") != "1":
        print("skipped:", refused.group(0))
        sys.exit(SKIP)
    return done


def source():
    return pathlib.Path(sys.argv[2]).read_text()


def head_and_rest(text):
    """Splits a source into its head comment, without the slashes, and the lines after it."""
    lines = text.splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    head = [line.removeprefix("//").removeprefix(" ") for line in lines[:end]]
    return head, "\n".join(lines[end:]).strip("\n") + "\n"


def promised_output(text):
    """What the head says after `Prints`: the lines that are indented by two blanks."""
    head, _ = head_and_rest(text)
    start = next(number for number, line in enumerate(head) if line.startswith("Prints"))
    return [line.removeprefix("  ") for line in head[start + 1:] if line.startswith("  ")]


def ended_well(done):
    if done.returncode == 0:
        return []
    return [f"exit status {done.returncode}, standard error:\n{done.stderr}"]


def finish(problems):
    print("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)
