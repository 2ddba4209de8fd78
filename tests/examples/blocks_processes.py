#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays the log of blocks_processes beside that of the Python program whose twin it is."""

import re

import blocks
import example

# Forked, as was the default on Linux when the chapter was written, so that the workers have the
# logging that the program has set up.
PYTHON_MAIN = '''import multiprocessing

if __name__ == '__main__':
    # Configure logging to show the id of the process
    # where the log message originates.
    logging.basicConfig(
        level=logging.INFO,
        format='PID %(process)5s %(name)18s: %(message)s',
        stream=sys.stderr,
    )

    # Create a limited process pool.
    executor = concurrent.futures.ProcessPoolExecutor(
        max_workers=3,
        mp_context=multiprocessing.get_context('fork'),
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
    line=re.compile(r"PID +(\S+) +(\S+): (.*)"),
    form="PID {:>5} {:>18}: {}")


# EX-001, PP-001: the same six calls on three processes.
def main():
    return blocks.main(KIND)


if __name__ == "__main__":
    example.finish(main())
