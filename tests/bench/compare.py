#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmark programs in turn, compares them with siding, prints tables, writes JSON.

Called by run.sh. A round runs every program once; the rounds start with a different program each,
so that none always follows the same neighbour. Python's standard library only.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 300
QUIET_CHECK_S = 1

# Per workload: its question, then (program, argument) of every measurement in the order of the
# table. The first field of a result that the columns name is the one the ratio is taken of.
PROCESSES_LEFT_OUT = {"libuv": "it has no pool of processes for functions",
                      "asio": "it has no pool of processes for functions"}
WORKLOADS = {
    "w1": {
        "question": "W1 offload_latency: one coroutine, 50 000 trivial calls one after another, "
                    "2 workers",
        "programs": [("siding", None), ("libuv", None), ("asio", None), ("asyncio", "w1"),
                     ("limit", "spinning"), ("limit", "blocking"), ("limit", "one_core")],
        "columns": [("mean_us", "mean us"), ("p50_us", "p50 us"), ("p99_us", "p99 us"),
                    ("cpu_us_per_call", "CPU us/call"), ("idle_cpu_us_per_s", "idle CPU us/s")],
        "left_out": {},
    },
    "w2": {
        "question": "W2 offload_throughput: 1 000 coroutines x 500 trivial calls, 2 workers",
        "programs": [("siding", None), ("libuv", None), ("asio", None), ("asyncio", "w2"),
                     ("limit", "two_workers"), ("limit", "one_worker"), ("limit", "batched")],
        "columns": [("calls_per_s", "calls/s"), ("cpu_us_per_call", "CPU us/call"),
                    ("sleeps_per_call", "sleeps/call")],
        "left_out": {},
    },
    "w3": {
        "question": "W3 process_latency: one coroutine, 50 000 trivial calls one after another, "
                    "2 processes",
        "programs": [("siding", None), ("python", "w3")],
        "columns": [("mean_us", "mean us"), ("p50_us", "p50 us"), ("p99_us", "p99 us"),
                    ("cpu_us_per_call", "CPU us/call"), ("idle_cpu_us_per_s", "idle CPU us/s")],
        "left_out": PROCESSES_LEFT_OUT,
    },
    "w4": {
        "question": "W4 process_throughput: trivial calls, 64 in flight, 2 processes",
        "programs": [("siding", None), ("python", "w4")],
        "columns": [("calls_per_s", "calls/s"), ("cpu_us_per_call", "CPU us/call")],
        "left_out": PROCESSES_LEFT_OUT,
    },
    "w5": {
        "question": "W5 process_payload: 1 MiB there and back by value, 4 in flight, 2 processes; "
                    "siding also by handle (SharedBuffer)",
        "programs": [("siding", None), ("siding", "by_handle"), ("python", "w5")],
        "columns": [("gb_per_s", "GB/s one way"), ("mean_us", "mean us"),
                    ("cpu_us_per_call", "CPU us/call")],
        "left_out": PROCESSES_LEFT_OUT,
    },
    "w6": {
        "question": "W6 call / spawn / cancel: 10 M co_await child(); create and join 1 M tasks in "
                    "batches of 1 000; the same with 100 k that sleep and are cancelled",
        "programs": [("siding", "call"), ("asio", "call"), ("siding", "spawn"), ("asio", "spawn"),
                     ("siding", "cancel")],
        "columns": [("call_ns", "call ns"), ("spawn_ns", "spawn ns"), ("cancel_ns", "cancel ns"),
                    ("p99_ns", "p99 ns"), ("cpu_ns", "CPU ns")],
        "left_out": {"libuv": "it has no coroutines",
                     "asyncio": "only the offload path is compared with Python"},
    },
}
HIGHER_IS_BETTER = {"calls_per_s", "gb_per_s"}


class Measurement:
    """One program with its argument, and what its runs gave."""

    def __init__(self, workload, program, argument, build):
        self.workload = workload
        self.program = program
        self.argument = argument
        self.results = []
        self.failures = []
        scripts = {"asyncio": "w1_w2_asyncio.py", "python": "w3_w5_python.py"}
        if program in scripts:
            self.command = [sys.executable, str(HERE / scripts[program])]
            self.built = True
        else:
            executable = build / "tests" / "bench" / f"bench_{workload}_{program}"
            self.command = [str(executable)]
            self.built = executable.exists()
        if argument is not None:
            self.command.append(argument)

    @property
    def label(self):
        if self.results:
            return self.results[0]["peer"]
        return self.program if self.argument is None else f"{self.program} {self.argument}"

    @property
    def metric(self):
        return self.results[0]["metric"] if self.results else None

    def run(self, round_number):
        try:
            done = subprocess.run(self.command, capture_output=True, text=True, timeout=TIMEOUT_S)
            error = f"status {done.returncode}: {done.stderr.strip()}" if done.returncode else None
        except subprocess.TimeoutExpired:
            error = f"no end after {TIMEOUT_S} s"
        if error is None:
            try:
                (line,) = done.stdout.splitlines()
                result = json.loads(line)
                if result["workload"].lower() != self.workload:
                    raise ValueError(f"a result of {result['workload']}")
            except (ValueError, KeyError) as wrong:
                error = f"unexpected output ({wrong}): {done.stdout.strip()[:200]}"
        if error is not None:
            self.failures.append({"workload": self.workload, "program": self.program,
                                  "argument": self.argument, "round": round_number,
                                  "error": error})
            print(f"bench: {self.workload} {self.label}, round {round_number}: {error}",
                  file=sys.stderr)
            return
        result["round"] = round_number
        self.results.append(result)

    def summary(self, field):
        """Median, least and greatest of a field, or None."""
        values = [result[field] for result in self.results if field in result]
        return (statistics.median(values), min(values), max(values)) if values else None


def number(value):
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def cell(summary):
    if summary is None:
        return "-"
    median, least, greatest = summary
    return f"{number(median)} [{number(least)} {number(greatest)}]"


def ratio_to_siding(measurement, measurements):
    """How many times better siding's median is; None where there is nothing to compare."""
    for ours in measurements:
        if ours.program == "siding" and ours.metric == measurement.metric and ours.results:
            metric = measurement.metric
            mine, theirs = ours.summary(metric)[0], measurement.summary(metric)[0]
            if mine == 0 or theirs == 0:
                return None
            return mine / theirs if metric in HIGHER_IS_BETTER else theirs / mine
    return None


def print_table(workload, measurements, rounds):
    description = WORKLOADS[workload]
    print(f"\n{description['question']}")
    print(f"median [min max] of {rounds} rounds; ratio: how many times better siding is")
    columns = description["columns"]
    rows = [["peer", *(title for _, title in columns), "ratio"]]
    for measurement in measurements:
        if not measurement.results:
            continue
        ratio = ratio_to_siding(measurement, measurements)
        rows.append([measurement.label, *(cell(measurement.summary(field)) for field, _ in columns),
                     "-" if ratio is None else f"{ratio:.2f}"])
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    for measurement in measurements:
        if measurement.failures:
            print(f"{measurement.label}: {len(measurement.failures)} of {rounds} rounds FAILED")
        elif not measurement.built:
            print(f"{measurement.label}: skipped, it is not built (see the messages of Meson)")
    for peer, reason in description["left_out"].items():
        print(f"{peer}: skipped, {reason}")


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def value_in(path, key, separator):
    """The value of the first line `key<separator>value` of a file, or nothing."""
    try:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            name, found, value = line.partition(separator)
            if found and name.strip() == key:
                return value.strip().strip('"')
    except OSError:
        pass
    return ""


def compiler_and_flags(build):
    """Of a benchmark program, as Meson wrote it down; without what depends on the place."""
    try:
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "", ""
    for entry in commands:
        if "/bench/" not in entry["file"]:
            continue
        words = shlex.split(entry["command"])
        if words and pathlib.Path(words[0]).name == "ccache":
            words = words[1:]
        with_value = {"-o", "-c", "-MF", "-MQ", "-isystem"}
        flags, skip = [], False
        for word in words[1:]:
            if skip or word in with_value:
                skip = word in with_value
            elif not word.startswith(("-I", "-isystem", "-MD", "-fdiagnostics")):
                flags.append(word)
        return output_of(words[0], "--version").partition("\n")[0], " ".join(flags)
    return "", ""


def environment(build):
    compiler, flags = compiler_and_flags(build)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": value_in("/proc/cpuinfo", "model name", ":") or platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": value_in("/etc/os-release", "PRETTY_NAME", "="),
        "kernel": platform.release(),
        "compiler": compiler,
        "flags": flags,
        "commit": output_of("git", "-C", str(HERE), "describe", "--always", "--dirty"),
    }


class OtherPrograms:
    """How many CPUs were busy with something that this process did not start."""

    def __init__(self):
        self._busy, self._own, self._wall = self._machine_busy_s(), self._own_s(), time.monotonic()

    @staticmethod
    def _machine_busy_s():
        """User, nice, system, interrupt and stolen time of all CPUs; 0 where it cannot be read."""
        try:
            fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
        except (OSError, ValueError):
            return 0.0
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def _own_s():
        return sum(used.ru_utime + used.ru_stime
                   for used in map(resource.getrusage, (resource.RUSAGE_SELF,
                                                        resource.RUSAGE_CHILDREN)))

    def cpus(self):
        wall = time.monotonic() - self._wall
        others = self._machine_busy_s() - self._busy - (self._own_s() - self._own)
        return max(0.0, others / wall)


def warn_about(others, when):
    # Chosen: what a quiet machine uses for itself stays below this, a build is far above it.
    if others > 0.1:
        print(f"WARNING: other programs used {others:.2f} CPUs {when}: these figures are worth "
              "little")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("workloads", nargs="+", choices=sorted(WORKLOADS))
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("at least one round")

    about = environment(arguments.build)
    print(f"\n{about['machine']}, {about['cpus']} CPUs, {about['system']}, Linux {about['kernel']}")
    print(f"{about['compiler']}: {about['flags']}")
    watch = OtherPrograms()
    time.sleep(QUIET_CHECK_S)
    about["other_programs_cpus_before"] = watch.cpus()
    warn_about(about["other_programs_cpus_before"], "before the start")

    workloads = list(dict.fromkeys(arguments.workloads))
    measurements = {workload: [Measurement(workload, program, argument, arguments.build)
                               for program, argument in WORKLOADS[workload]["programs"]]
                    for workload in workloads}
    everything = [measurement for workload in workloads for measurement in measurements[workload]
                  if measurement.built]
    watch = OtherPrograms()
    for round_number in range(1, arguments.rounds + 1):
        print(f"bench: round {round_number} of {arguments.rounds}", file=sys.stderr)
        start = (round_number - 1) % max(len(everything), 1)
        for measurement in everything[start:] + everything[:start]:
            measurement.run(round_number)

    about["other_programs_cpus"] = watch.cpus()

    for workload in workloads:
        print_table(workload, measurements[workload], arguments.rounds)
    print()
    warn_about(about["other_programs_cpus"], "meanwhile")

    document = {
        **about,
        "rounds": arguments.rounds,
        "medians": [{"workload": workload, "peer": measurement.label, "metric": measurement.metric,
                     "median": summary[0], "min": summary[1], "max": summary[2],
                     "ratio": ratio_to_siding(measurement, measurements[workload])}
                    for workload in workloads for measurement in measurements[workload]
                    if (summary := measurement.summary(measurement.metric))],
        "raw": [result for measurement in everything for result in measurement.results],
        "failures": [failure for measurement in everything for failure in measurement.failures],
    }
    file = arguments.build / "bench.json"
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"all rounds: {os.path.relpath(file)}")
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
