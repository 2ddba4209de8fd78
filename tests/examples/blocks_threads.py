#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lays the log of blocks_threads beside that of the Python program whose twin it is.

Only interleaving and the order of the results may differ. So both logs must hold the same lines,
but for which worker ran which block and for the order inside `results: [...]`; and each log alone
must keep the rules of check_alone().
"""

import collections
import re
import subprocess
import sys
import time

import example

# From the chapter "Combining Coroutines with Threads and Processes" of Python Module of the Week.
# Damage of the text recognition is mended, and new_event_loop() stands for get_event_loop(), which
# later versions of Python refuse outside a running loop.
PYTHON = '''
import asyncio
import concurrent.futures
import logging
import sys
import time


def blocks(n):
    log = logging.getLogger('blocks({})'.format(n))
    log.info('running')
    time.sleep(0.1)
    log.info('done')
    return n ** 2


async def run_blocking_tasks(executor):
    log = logging.getLogger('run_blocking_tasks')
    log.info('starting')

    log.info('creating executor tasks')
    loop = asyncio.get_event_loop()
    blocking_tasks = [
        loop.run_in_executor(executor, blocks, i)
        for i in range(6)
    ]
    log.info('waiting for executor tasks')
    completed, pending = await asyncio.wait(blocking_tasks)
    results = [t.result() for t in completed]
    log.info('results: {!r}'.format(results))

    log.info('exiting')


if __name__ == '__main__':
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

LINE = re.compile(r" *(\S+) +(\S+): (.*)")
WORKER = re.compile(r"ThreadPoolExecutor-0_[0-2]")
MAIN = ["starting", "creating executor tasks", "waiting for executor tasks", "results", "exiting"]


def parse(text):
    """[(thread, name, message)]; a line that is not in the format raises ValueError."""
    lines = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if not match or "{:>10} {:>18}: {}".format(*match.groups()) != line:
            raise ValueError(f"not in the format of the log: {line!r}")
        lines.append(match.groups())
    return lines


def results(message):
    return sorted(int(number) for number in re.findall(r"\d+", message))


def alike(lines):
    """The lines without what may differ."""
    counted = collections.Counter()
    for thread, name, message in lines:
        thread = WORKER.sub("a worker", thread)
        if message.startswith("results: "):
            message = f"results: {results(message)}"
        counted[thread, name, message] += 1
    return counted


def check_alone(lines):
    """The rules that each log keeps by itself."""
    problems = []
    running = {}
    main = []
    for thread, name, message in lines:
        if name == "run_blocking_tasks":
            main.append(message.split(":")[0])
            if thread != "MainThread":
                problems.append(f"{name}: {message} is on {thread}")
            if message.startswith("results"):
                if running:
                    problems.append(f"results before the end of {sorted(running)}")
                if results(message) != [0, 1, 4, 9, 16, 25]:
                    problems.append(message)
            continue
        if not WORKER.fullmatch(thread):
            problems.append(f"{name}: {message} is on {thread}")
        if message == "running":
            if thread in running.values():
                problems.append(f"{thread} runs two blocks at once")
            running[name] = thread
        elif running.pop(name, None) != thread:
            problems.append(f"{name} is done on {thread}, where it was not running")
    if main != MAIN:
        problems.append(f"the main thread says {main}")
    return problems


def check_waves(lines, seconds):
    """Two waves of three. The first needs a machine that is not too busy."""
    most = at_once = 0
    for _, name, message in lines:
        if name != "run_blocking_tasks":
            at_once += 1 if message == "running" else -1
            most = max(most, at_once)
    problems = []
    if most != 3:
        problems.append(f"{most} blocks ran at once, not 3")
    if seconds < 0.2:
        problems.append(f"six blocks of 0.1 s ended on three threads after {seconds:.3f} s")
    return problems


def self_test():
    text = subprocess.run([sys.executable, "-c", PYTHON], capture_output=True, text=True,
                          check=True).stderr
    good = parse(text)
    failures = check_alone(good)
    swapped = [(thread.replace("_0", "_x").replace("_1", "_0").replace("_x", "_1"), name, message)
               for thread, name, message in good]
    if alike(swapped) != alike(good):
        failures.append("another assignment of the workers is refused")
    for what, bad in {
            "a line less": good[:3] + good[4:],
            "a block twice": good[:3] + [good[3]] + good[3:],
            "done first": [line for line in good if line[2] == "done"] + [
                line for line in good if line[2] != "done"],
            "a fourth worker": [(thread.replace("_2", "_3"), *rest) for thread, *rest in good],
            "wrong results": [(thread, name, message.replace("25", "26"))
                              for thread, name, message in good],
            "main elsewhere": [(thread.replace("MainThread", "ThreadPoolExecutor-0_0"), *rest)
                               for thread, *rest in good]}.items():
        if not check_alone(bad):
            failures.append(f"{what}: not noticed")
    try:
        parse("MainThread  run_blocking_tasks: starting")
        failures.append("a wrong column is not noticed")
    except ValueError:
        pass
    return failures


# EX-001, TP-004: six calls of one coroutine on three threads.
def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    python = subprocess.run([sys.executable, "-c", PYTHON], capture_output=True, text=True,
                            check=True, timeout=example.LIMIT).stderr
    problems = [f"Python: {problem}" for problem in check_alone(parse(python))]
    for attempt in range(3):  # a busy machine gets three chances to show three at once
        start = time.monotonic()
        done = example.run()
        seconds = time.monotonic() - start
        problems += example.ended_well(done)
        lines = parse(done.stderr)
        problems += check_alone(lines)
        for line, count in ((alike(lines) - alike(parse(python))) +
                            (alike(parse(python)) - alike(lines))).items():
            problems.append(f"{count} time(s) in one log only: {' '.join(line)}")
        late = check_waves(lines, seconds)
        if problems or not late:
            break
    print("Python:", python, "siding:", done.stderr, sep="\n")
    return problems + late


if __name__ == "__main__":
    example.finish(main())
