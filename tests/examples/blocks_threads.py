#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays the log of blocks_threads beside that of the Python program whose twin it is."""

import re

import blocks
import example

PYTHON_MAIN = '''if __name__ == '__main__':
    # Configure logging to show the name of the thread
    # where the log message originates.
    logging.basicConfig(
        level=logging.INFO,
        format='%(threadName)10s %(name)18s: %(message)s',
        stream=sys.stderr,
    )

    # Create a limited thread pool.
    executor = concurrent.futures.ThreadPoolExecutor(
        max_workers=3,
    )

    event_loop = asyncio.new_event_loop()
    try:
        event_loop.run_until_complete(
            run_blocking_tasks(executor)
        )
    finally:
        event_loop.close()
'''

KIND = blocks.Kind(
    PYTHON_MAIN,
    line=re.compile(r" *(\S+) +(\S+): (.*)"),
    form="{:>10} {:>18}: {}",
    fixed_names=("MainThread", r"ThreadPoolExecutor-0_[0-2]"))


# EX-001, TP-004: six calls of one coroutine on three threads.
def main():
    return blocks.main(KIND)


if __name__ == "__main__":
    example.finish(main())
