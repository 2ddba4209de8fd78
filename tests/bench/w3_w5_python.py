#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Question (W3, W4, W5): what do calls in Python's ProcessPoolExecutor cost, from asyncio?

The first argument is w3, w4 or w5. Workers are forked from a fork server, as is the default since
Python 3.14.
"""

import asyncio
import concurrent.futures
import json
import multiprocessing
import platform
import resource
import sys
import time

WORKERS = 2
W3_CALLS = 5_000
W3_WARM_UP_CALLS = 200
W4_IN_FLIGHT = 64
W4_CALLS_EACH = 300
W4_WARM_UP_CALLS_EACH = 5
W5_IN_FLIGHT = 4
W5_CALLS_EACH = 60
W5_WARM_UP_CALLS_EACH = 3
W5_BYTES = 1 << 20
IDLE_SETTLE_S = 0.02
IDLE_LENGTH_S = 0.3


def trivial_call(value):
    return 2 * value + 1


def turn_round(block):
    return block[1:] + block[:1]


class Meter:
    """Measures from its construction on."""

    def __init__(self):
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._wall = time.perf_counter()

    def spent(self):
        """Wall and CPU seconds of this process."""
        wall = time.perf_counter() - self._wall
        now, then = resource.getrusage(resource.RUSAGE_SELF), self._usage
        return wall, now.ru_utime + now.ru_stime - then.ru_utime - then.ru_stime


def check_equal(actual, expected):
    if actual != expected:
        sys.exit(f"wrong sum: {actual} instead of {expected}")


def print_result(workload, metric, value, **fields):
    print(json.dumps({"workload": workload, "peer": "python", "metric": metric, "value": value,
                      metric: value, **fields, "workers": WORKERS,
                      "version": platform.python_version()}), flush=True)


async def call_in_sequence(loop, pool, begin, end, laps=None):
    total = 0
    last = time.perf_counter_ns()
    for index in range(begin, end):
        total += await loop.run_in_executor(pool, trivial_call, index)
        if laps is not None:
            now = time.perf_counter_ns()
            laps.append(now - last)
            last = now
    return total


async def w3(loop, pool):
    await call_in_sequence(loop, pool, 0, W3_WARM_UP_CALLS)
    laps = []
    meter = Meter()
    total = await call_in_sequence(loop, pool, 0, W3_CALLS, laps)
    wall, cpu = meter.spent()
    check_equal(total, W3_CALLS * W3_CALLS)
    await asyncio.sleep(IDLE_SETTLE_S)
    meter = Meter()
    await asyncio.sleep(IDLE_LENGTH_S)
    idle_wall, idle_cpu = meter.spent()
    laps.sort()
    print_result("W3", "mean_us", 1e6 * wall / W3_CALLS,
                 p50_us=laps[len(laps) // 2] / 1e3, p99_us=laps[len(laps) * 99 // 100] / 1e3,
                 cpu_us_per_call=1e6 * cpu / W3_CALLS, idle_cpu_us_per_s=1e6 * idle_cpu / idle_wall)


async def w4(loop, pool):
    async def keep_in_flight(each):
        totals = await asyncio.gather(*(call_in_sequence(loop, pool, n * each, (n + 1) * each)
                                        for n in range(W4_IN_FLIGHT)))
        check_equal(sum(totals), (W4_IN_FLIGHT * each) ** 2)

    await keep_in_flight(W4_WARM_UP_CALLS_EACH)
    meter = Meter()
    await keep_in_flight(W4_CALLS_EACH)
    wall, cpu = meter.spent()
    calls = W4_IN_FLIGHT * W4_CALLS_EACH
    print_result("W4", "calls_per_s", calls / wall, cpu_us_per_call=1e6 * cpu / calls)


async def w5(loop, pool):
    async def send_in_sequence(count):
        block = bytes(W5_BYTES - 1) + b"x"
        for _ in range(count):
            block = await loop.run_in_executor(pool, turn_round, block)
        check_equal(block.index(b"x"), W5_BYTES - 1 - count)

    await asyncio.gather(*(send_in_sequence(W5_WARM_UP_CALLS_EACH) for _ in range(W5_IN_FLIGHT)))
    meter = Meter()
    await asyncio.gather(*(send_in_sequence(W5_CALLS_EACH) for _ in range(W5_IN_FLIGHT)))
    wall, cpu = meter.spent()
    calls = W5_IN_FLIGHT * W5_CALLS_EACH
    print_result("W5", "gb_per_s", 1e-9 * calls * W5_BYTES / wall,
                 mean_us=1e6 * wall / calls, cpu_us_per_call=1e6 * cpu / calls)


async def main(form):
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("forkserver")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        await {"w3": w3, "w4": w4, "w5": w5}[form](loop, pool)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "w3"))
