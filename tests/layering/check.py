#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the #include lines of include/ and src/ and fails on an upward arrow.

Only this table decides. A file is named by its path below include/siding/ or src/ without its
ending, so that a header and its source share a name; src/x.cpp also stands for detail/x. A file
that is not in the table is an error: where it belongs is decided when it is made.
"""

import pathlib
import re
import sys
import tempfile

# Lowest first. A file may use every layer below its own. Within a layer: "free" files may use one
# another (without a cycle); in a "parts" layer only files of the same inner tuple may.
LAYERS = [
    ("0 detail", "free", [
        ("export", "version"),
        ("detail/node", "detail/sanitizers", "detail/outcome", "detail/recycler", "detail/inbox",
         "detail/bound_call", "detail/is_task"),
    ]),
    ("1 vocabulary", "free", [
        ("time", "when_full", "error", "cancellation", "awaitable", "log",
         "io_uring_unavailable", "limit_text", "context_var", "detail/variables",
         "detail/carried_variables", "detail/call_limits", "detail/job_node", "call_options",
         "check_cancelled", "take",
         "parker", "spin", "usable_cpus", "signals_blocked", "live_rings",
         "detail/completion_source", "detail/fixed_text", "demangled", "symbols", "stack_text",
         "thread_interrupt", "blocked_call"),
        ("wire", "register_error", "standard_errors", "file_descriptor"),
        ("code_segments", "detail/code_identity", "detail/remote_exception", "detail/wire_argument",
         "detail/wire_codec", "detail/wire_containers", "detail/wire_fields",
         "detail/wire_refusal", "detail/wire_stream", "detail/wire_traits",
         "detail/wire_values", "detail/wire_adaptors", "detail/wire_calendar", "detail/wire_errors"),
        ("detail/timer_heap", "detail/scheduler", "detail/task_context", "detail/guard",
         "detail/waiter_list"),
    ]),
    ("2 coroutine types", "free", [
        ("task", "future", "promise", "exception_group", "limiter", "job", "stop_token"),
        ("task", "future", "promise", "exception_group", "limiter", "job", "job_levels"),
        ("detail/portable_call",),
        ("detail/future_state", "detail/future_awaiter", "detail/future_callback",
         "detail/call_state", "detail/scheduled_call", "detail/error_report", "error_report"),
        ("create_task", "detail/body", "detail/task_state", "detail/task_op",
         "detail/promise_state", "detail/future_kinds", "detail/multi_wait",
         "detail/timeout_scope", "detail/started", "detail/group_member",
         "detail/signal_handler", "detail/completions"),
    ]),
    ("3 interface", "free", [
        ("executor",),
        ("detail/submit", "detail/map_range", "detail/map_calls", "detail/map_chunk"),
    ]),
    ("4 engines", "parts", [
        ("event_loop", "loop", "debug_mode", "descriptor_watch", "task_dump", "unfinished_calls",
         "watchdog",
         "signal_source", "ring", "uring_abi", "wakeup", "kernel_features", "testing/virtual_clock"),
        ("thread_pool", "thread_pool_core", "thread_pool_end", "thread_pool_workers",
         "worker_thread"),
        ("process_pool", "process_pool_options", "pool_core", "pool_dispatch", "pool_collect",
         "pool_close", "pool_crash", "pool_end", "pool_limits", "pool_manager", "pool_output",
         "pool_recall", "pool_retire", "pool_starts", "pool_worker",
         "alarm_limit", "arena", "crash_page", "crash_watch", "executed_worker", "landlock", "line_relay", "sandbox",
         "seccomp_filter", "stop_watcher",
         "worker_files", "worker_setup",
         "worker_process", "worker_region", "zygote", "zygote_main", "zygote_protocol",
         "process_hook",
         "shared_buffer", "shared_memory", "buffer_link", "pool_buffers", "worker_buffers"),
    ]),
    ("5 bridges and operations", "parts", [
        ("offload", "detail/offload_awaiter", "detail/abandon_awaiter"),
        ("sleep",), ("run_in_executor",), ("to_thread",), ("to_process",),
        ("gather", "outcome", "race"),
        ("wait",), ("as_completed",), ("wait_for",), ("shield",), ("with_cleanup",), ("next_signal",),
        ("mutex", "condition"), ("event",), ("semaphore",), ("barrier",),
        ("queue", "detail/queue_core", "detail/queue_stores"),
        ("run_coroutine_threadsafe",),
        ("runner", "interrupt"), ("default_executor",), ("io",), ("timeout",), ("task_group",),
    ]),
    ("6 umbrella", "free", [
        ("siding",),
    ]),
]

# Arrows between parts of one layer that are allowed all the same.
SIBLINGS = {
    ("to_thread", "run_in_executor"),
    ("to_thread", "offload"),
    ("to_process", "offload"),
    ("run_in_executor", "detail/offload_awaiter"),
    ("default_executor", "offload"),
    ("default_executor", "detail/offload_awaiter"),
    ("default_executor", "run_in_executor"),
    ("timeout", "sleep"),
}

# Not to be reached from here, not even through another header.
UNREACHABLE = {
    "job": ("event_loop", "ring", "task"),
    "executor": ("event_loop", "ring", "task"),
}

# Who may include a header from outside the project. Anything not named here is free.
OUTSIDE = {
    re.compile(r"liburing(\.h|/)"): ("src/ring.cpp",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def table():
    places = {}
    for level, (_, kind, parts) in enumerate(LAYERS):
        for part, names in enumerate(parts):
            for name in names:
                places[name] = (level, part if kind == "parts" else None)
    return places


def read(root, places):
    """Yields (file, name, [included names of the project], [headers from outside])."""
    for base in ("include/siding", "src"):
        for path in sorted((root / base).rglob("*")):
            if path.suffix not in (".hpp", ".cpp"):
                continue
            inside, outside = [], []
            for quote, target in INCLUDE.findall(path.read_text()):
                if target.startswith("siding/"):
                    inside.append(target.removeprefix("siding/").removesuffix(".hpp"))
                elif quote == '"':
                    inside.append(target.removesuffix(".hpp"))
                else:
                    outside.append(target)
            file = path.relative_to(root).as_posix()
            name = path.relative_to(root / base).with_suffix("").as_posix()
            if base == "src" and name not in places and f"detail/{name}" in places:
                name = f"detail/{name}"
            yield file, name, inside, outside


def check(root):
    places = table()
    found = []
    arrows = {}  # from headers only: what including a name brings with it
    for file, name, inside, outside in read(root, places):
        if name not in places:
            found.append(f"{file}: not in the table of tests/layering/check.py; add it to a layer")
            continue
        level, part = places[name]
        for target in inside:
            if target == name:
                continue
            if target not in places:
                found.append(f"{file}: includes {target}, which is not in the table")
                continue
            target_level, target_part = places[target]
            if target_level > level:
                found.append(f"{file}: upward arrow: {name} ({LAYERS[level][0]}) includes {target} "
                             f"({LAYERS[target_level][0]})")
            elif target_level == level and part != target_part and (name, target) not in SIBLINGS:
                found.append(f"{file}: {name} and {target} are parts of one layer "
                             f"({LAYERS[level][0]}) that must not know each other")
            if file.endswith(".hpp"):
                arrows.setdefault(name, set()).add(target)
        for target in outside:
            for pattern, allowed in OUTSIDE.items():
                if pattern.match(target) and file not in allowed:
                    found.append(f"{file}: includes <{target}>; only {', '.join(allowed)} may")

    reach = {name: reachable(name, arrows) for name in arrows}
    for name, targets in reach.items():
        if name in targets:
            found.append(f"{name}: its header includes itself in a circle")
        for target in UNREACHABLE.get(name, ()):
            if target in targets:
                found.append(f"{name}: its header reaches {target}")
    return found


def reachable(start, arrows):
    seen, left = set(), list(arrows.get(start, ()))
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left.extend(arrows.get(name, ()))
    return seen


SAMPLES = [
    ({"include/siding/task.hpp": "#include <siding/error.hpp>", "include/siding/error.hpp": "",
      "src/ring.hpp": "struct io_uring;",
      "src/ring.cpp": '#include "ring.hpp"\n#include <liburing.h>',
      "src/event_loop.cpp": '#include <siding/event_loop.hpp>\n#include "ring.hpp"',
      "include/siding/event_loop.hpp": "#include <siding/executor.hpp>",
      "include/siding/executor.hpp": "#include <siding/job.hpp>",
      "include/siding/job.hpp": ""}, None),
    ({"include/siding/task.hpp": "#include <siding/event_loop.hpp>"}, "upward arrow"),
    ({"include/siding/error.hpp": "  #  include <siding/task.hpp>"}, "upward arrow"),
    ({"src/error.cpp": '#include "ring.hpp"'}, "upward arrow"),
    ({"src/inbox.cpp": "#include <siding/task.hpp>"}, "upward arrow: detail/inbox"),
    ({"include/siding/thread_pool.hpp": "#include <siding/event_loop.hpp>"}, "must not know"),
    ({"include/siding/sleep.hpp": "#include <siding/gather.hpp>"}, "must not know"),
    ({"src/event_loop.cpp": "#include <liburing.h>"}, "only src/ring.cpp may"),
    ({"src/wakeup.cpp": "#include <liburing/io_uring.h>"}, "only src/ring.cpp may"),
    ({"include/siding/executor.hpp": "#include <siding/task.hpp>"}, "reaches task"),
    ({"include/siding/executor.hpp": "#include <siding/future.hpp>",
      "include/siding/future.hpp": "#include <siding/task.hpp>"},
     "executor: its header reaches task"),
    ({"include/siding/error.hpp": "#include <siding/time.hpp>",
      "include/siding/time.hpp": "#include <siding/error.hpp>"}, "in a circle"),
    ({"include/siding/utils.hpp": ""}, "not in the table"),
    ({"src/task.cpp": '#include "helpers.hpp"'}, "not in the table"),
]


def self_test():
    failures = []
    for files, expected in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
            got = check(pathlib.Path(folder))
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{sorted(files)}: expected {expected}, got {got}")
    return failures


if __name__ == "__main__":
    lines = self_test() if sys.argv[1] == "--self-test" else check(pathlib.Path(sys.argv[1]))
    print("\n".join(lines) or "ok")
    sys.exit(1 if lines else 0)
