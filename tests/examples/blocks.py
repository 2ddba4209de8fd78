# SPDX-License-Identifier: MIT
"""What the checks of the blocks_* programs share: each log is laid beside that of the Python program
whose twin it is.

Only interleaving, process ids and the order of the results may differ. So both logs must hold the
same lines, but for which worker ran which block and for the order inside `results: [...]`; and each
log alone must keep the rules of check_alone().
"""

import collections
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import example

# From the chapter "Combining Coroutines with Threads and Processes" of Python Module of the Week.
# Damage of the text recognition is mended, and new_event_loop() stands for get_event_loop(), which
# later versions of Python refuse outside a running loop.
COROUTINE = '''
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


'''

MAIN = ["starting", "creating executor tasks", "waiting for executor tasks", "results", "exiting"]


@dataclasses.dataclass
class Kind:
    """One of the two programs."""

    main: str  # the end of the Python program
    line: re.Pattern  # worker, name, message
    form: str  # the same, for str.format
    fixed_names: tuple = None  # of the main thread and of the workers; else any

    def python(self):
        """The log of the Python program."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program.py"
            program.write_text(COROUTINE + self.main)
            return subprocess.run([sys.executable, program], capture_output=True, text=True,
                                  check=True, timeout=example.LIMIT).stderr

    def parse(self, text):
        """[(worker, name, message)]; a line that is not in the format raises ValueError."""
        lines = []
        for line in text.splitlines():
            match = self.line.fullmatch(line)
            if not match or self.form.format(*match.groups()) != line:
                raise ValueError(f"not in the format of the log: {line!r}")
            lines.append(match.groups())
        return lines


def results(message):
    return sorted(int(number) for number in re.findall(r"\d+", message))


def alike(lines):
    """The lines without what may differ."""
    counted = collections.Counter()
    main = lines[0][0] if lines else ""
    for worker, name, message in lines:
        who = "main" if worker == main else "a worker"
        if message.startswith("results: "):
            message = f"results: {results(message)}"
        counted[who, name, message] += 1
    return counted


def check_alone(kind, lines):
    """The rules that each log keeps by itself."""
    problems = []
    running = {}
    main = []
    home = lines[0][0] if lines else ""
    workers = set()
    for worker, name, message in lines:
        if name == "run_blocking_tasks":
            main.append(message.split(":")[0])
            if worker != home:
                problems.append(f"{name}: {message} is on {worker}")
            if message.startswith("results"):
                if running:
                    problems.append(f"results before the end of {sorted(running)}")
                if results(message) != [0, 1, 4, 9, 16, 25]:
                    problems.append(message)
            continue
        workers.add(worker)
        if message == "running":
            if worker in running.values():
                problems.append(f"{worker} runs two blocks at once")
            running[name] = worker
        elif running.pop(name, None) != worker:
            problems.append(f"{name} is done on {worker}, where it was not running")
    if main != MAIN:
        problems.append(f"the main thread says {main}")
    if home in workers or len(workers) > 3:
        problems.append(f"beside {home} there are the workers {sorted(workers)}")
    if kind.fixed_names:
        name_of_main, name_of_worker = kind.fixed_names
        problems += [f"unexpected name: {name}" for name in sorted(workers)
                     if not re.fullmatch(name_of_worker, name)]
        if home != name_of_main:
            problems.append(f"unexpected name: {home}")
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
        problems.append(f"six blocks of 0.1 s ended on three workers after {seconds:.3f} s")
    return problems


def self_test(kind):
    good = kind.parse(kind.python())
    failures = check_alone(kind, good)
    main = good[0][0]
    workers = sorted({worker for worker, name, _ in good if name != "run_blocking_tasks"})
    if len(workers) != 3:
        failures.append(f"Python used the workers {workers}")
    turned = dict(zip(workers, workers[1:] + workers[:1]), **{main: main})
    if alike([(turned[worker], *rest) for worker, *rest in good]) != alike(good):
        failures.append("another assignment of the workers is refused")
    for what, bad in {
            "a line less": good[:3] + good[4:],
            "a block twice": good[:3] + [good[3]] + good[3:],
            "done first": [good[0]] + [line for line in good[1:] if line[2] == "done"] + [
                line for line in good[1:] if line[2] != "done"],
            "a fourth worker": [("9999999" if name == "blocks(5)" else worker, name, message)
                                for worker, name, message in good],
            "wrong results": [(worker, name, message.replace("25", "26"))
                              for worker, name, message in good],
            "a block on main": [(main if name == "blocks(0)" else worker, name, message)
                                for worker, name, message in good],
            "main elsewhere": good[:1] + [(worker.replace(main, workers[0]), *rest)
                                          for worker, *rest in good[1:]]}.items():
        if not check_alone(kind, bad):
            failures.append(f"{what}: not noticed")
    try:
        kind.parse("MainThread  run_blocking_tasks: starting")
        failures.append("a wrong column is not noticed")
    except ValueError:
        pass
    return failures


def main(kind):
    if sys.argv[1] == "--self-test":
        return self_test(kind)
    python = kind.python()
    problems = [f"Python: {problem}" for problem in check_alone(kind, kind.parse(python))]
    for attempt in range(3):  # a busy machine gets three chances to show three at once
        start = time.monotonic()
        done = example.run()
        seconds = time.monotonic() - start
        problems += example.ended_well(done)
        lines = kind.parse(done.stderr)
        problems += check_alone(kind, lines)
        for line, count in ((alike(lines) - alike(kind.parse(python))) +
                            (alike(kind.parse(python)) - alike(lines))).items():
            problems.append(f"{count} time(s) in one log only: {' '.join(line)}")
        late = check_waves(lines, seconds)
        if problems or not late:
            break
    print("Python:", python, "siding:", done.stderr, sep="\n")
    return problems + late
