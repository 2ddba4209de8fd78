#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Question (W1, W2): what do trivial calls on a thread pool cost in Python's asyncio?

The first argument is w1 or w2. loop.run_in_executor is what asyncio.to_thread calls, without the
copy of the context, so it is the faster of the two.
"""

import asyncio
import concurrent.futures
import json
import platform
import resource
import sys
import time

WORKERS = 2
W1_CALLS = 50_000
W1_WARM_UP_CALLS = 2_000
W2_COROUTINES = 1_000
# The others do 500 calls each. A tenth gives the same rate, and takes a second instead of ten.
W2_CALLS_EACH = 50
W2_WARM_UP_CALLS_EACH = 1
IDLE_SETTLE_S = 0.02
IDLE_LENGTH_S = 0.3


def trivial_call(value):
    return 2 * value + 1


class Meter:
    """Measures from its construction on."""

    def __init__(self):
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._wall = time.perf_counter()

    def spent(self):
        """Wall seconds, CPU seconds and voluntary context switches of all threads."""
        wall = time.perf_counter() - self._wall
        now, then = resource.getrusage(resource.RUSAGE_SELF), self._usage
        cpu = now.ru_utime + now.ru_stime - then.ru_utime - then.ru_stime
        return wall, cpu, now.ru_nvcsw - then.ru_nvcsw


def check_equal(actual, expected):
    if actual != expected:
        sys.exit(f"wrong sum: {actual} instead of {expected}")


def print_result(workload, metric, value, **fields):
    print(json.dumps({"workload": workload, "peer": "asyncio", "metric": metric, "value": value,
                      metric: value, **fields, "workers": WORKERS,
                      "version": platform.python_version()}), flush=True)


async def call_in_sequence(loop, begin, end, laps=None):
    total = 0
    last = time.perf_counter_ns()
    for index in range(begin, end):
        total += await loop.run_in_executor(None, trivial_call, index)
        if laps is not None:
            now = time.perf_counter_ns()
            laps.append(now - last)
            last = now
    return total


async def measure_latency(loop):
    await call_in_sequence(loop, 0, W1_WARM_UP_CALLS, [])
    laps = []
    meter = Meter()
    total = await call_in_sequence(loop, 0, W1_CALLS, laps)
    wall, cpu, sleeps = meter.spent()
    check_equal(total, W1_CALLS**2)

    await asyncio.sleep(IDLE_SETTLE_S)
    meter = Meter()
    await asyncio.sleep(IDLE_LENGTH_S)
    idle_wall, idle_cpu, _ = meter.spent()

    laps.sort()
    percentile = lambda fraction: laps[min(int(fraction * len(laps)), len(laps) - 1)] / 1e3
    print_result("W1", "mean_us", 1e6 * wall / W1_CALLS, p50_us=percentile(0.5),
                 p99_us=percentile(0.99), max_us=percentile(1.0), calls_per_s=W1_CALLS / wall,
                 cpu_us_per_call=1e6 * cpu / W1_CALLS, sleeps_per_call=sleeps / W1_CALLS,
                 idle_cpu_us_per_s=1e6 * idle_cpu / idle_wall, calls=W1_CALLS)


async def run_coroutines(loop, calls_each):
    tasks = [asyncio.create_task(call_in_sequence(loop, index * calls_each,
                                                  (index + 1) * calls_each))
             for index in range(W2_COROUTINES)]
    check_equal(sum(await asyncio.gather(*tasks)), (W2_COROUTINES * calls_each)**2)


async def measure_throughput(loop):
    await run_coroutines(loop, W2_WARM_UP_CALLS_EACH)
    meter = Meter()
    await run_coroutines(loop, W2_CALLS_EACH)
    wall, cpu, sleeps = meter.spent()
    calls = W2_COROUTINES * W2_CALLS_EACH
    print_result("W2", "calls_per_s", calls / wall, mean_ns=1e9 * wall / calls,
                 cpu_us_per_call=1e6 * cpu / calls, sleeps_per_call=sleeps / calls, calls=calls,
                 coroutines=W2_COROUTINES)


async def main(form):
    loop = asyncio.get_running_loop()
    loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS))
    await {"w1": measure_latency, "w2": measure_throughput}[form](loop)


if __name__ == "__main__":
    if sys.argv[1:] not in (["w1"], ["w2"]):
        sys.exit("usage: w1_w2_asyncio.py w1|w2")
    asyncio.run(main(sys.argv[1]))
