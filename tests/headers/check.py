#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles one installed header as the only include (CC-010).

Fails if the compiler warns, if a header of siding leaves a macro outside the SIDING_ prefix, or if
liburing or fmt is reached.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

FLAGS = [
    "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion",
    "-Wsign-conversion", "-Wnon-virtual-dtor", "-Woverloaded-virtual",
]
PRIVATE = re.compile(r"(^|/)(liburing(\.h|/)|fmt/)")
LINE_MARKER = re.compile(r'^# \d+ "([^"]*)"')
DIRECTIVE = re.compile(r"^\s*#\s*(define|undef)\s+(\w+)")


def run(command, source):
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)


def problems(compiler, include, header, precompiled=None):
    # Twice, so that a missing `#pragma once` is found too.
    source = f"#include <{header}>\n#include <{header}>\n"
    base = [compiler, *FLAGS, "-I", str(include), "-x", "c++"]
    given = ["-include-pch", precompiled] if precompiled else []
    compiled = run([*base, *given, "-fsyntax-only", "-"], source)
    if compiled.returncode != 0:
        return [f"{header} does not compile alone:\n{compiled.stderr}"]

    # -dD keeps every #define in place, so each can be blamed on the file it stands in.
    expanded = run([*base, "-E", "-dD", "-"], source)
    own = str(pathlib.Path(include).resolve())
    found, live, current = [], {}, ""
    for line in expanded.stdout.splitlines():
        marker = LINE_MARKER.match(line)
        if marker:
            current = marker.group(1)
            if PRIVATE.search(current):
                found.append(f"{header} reaches {current}, which is private to the library")
            continue
        directive = DIRECTIVE.match(line)
        if not directive:
            continue
        kind, name = directive.groups()
        if kind == "undef":
            live.pop(name, None)
        elif own in map(str, pathlib.Path(current).resolve().parents):
            live[name] = current
    for name, where in sorted(live.items()):
        if not name.startswith("SIDING_"):
            found.append(f"{header} leaves the macro {name}, defined in {where}")
    return sorted(set(found))


SAMPLES = {
    "good.hpp": ("#pragma once\n#include <vector>\n#define SIDING_X 1\n#define T 1\n#undef T\n"
                 "inline int f() { return SIDING_X; }\n", None),
    "alone.hpp": ("#pragma once\ninline std::string f() { return {}; }\n",
                  "does not compile alone"),
    "twice.hpp": ("struct S {};\n", "does not compile alone"),
    "warns.hpp": ("#pragma once\ninline int f(int unused) { return 1; }\n",
                  "does not compile alone"),
    "macro.hpp": ("#pragma once\n#define LEAKED 1\n", "leaves the macro LEAKED"),
    "leaks.hpp": ("#pragma once\n#include <fmt/sample.h>\n", "private to the library"),
}


def self_test(compiler):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        include = pathlib.Path(folder) / "include"
        (include / "siding").mkdir(parents=True)
        (include / "fmt").mkdir()
        (include / "fmt/sample.h").write_text("#pragma once\n")
        for name, (text, expected) in SAMPLES.items():
            (include / "siding" / name).write_text(text)
            got = problems(compiler, include, f"siding/{name}")
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{name}: expected {expected}, got {got}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include")
    parser.add_argument("--precompiled", help="foreign headers, for clang")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("header", nargs="?")
    options = parser.parse_args()
    if options.self_test:
        found = self_test(options.compiler)
    else:
        found = problems(options.compiler, options.include, options.header, options.precompiled)
    print("\n".join(found) or "ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
