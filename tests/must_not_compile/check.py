#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that a misuse is refused by the compiler, and for the right reason.

A file holds one misuse and the diagnostic it must meet:

    // expect: awaited at most once
    // expect(clang++): call to deleted function      (optional: for one compiler only)
    // compilers: g++                                 (optional: skipped on the others)
    #ifdef SIDING_GOOD
    ...                                               the nearest right program
    #else
    ...                                               the misuse
    #endif

Each expectation is a regular expression that must match the compiler's output, and the compile
must fail. With -DSIDING_GOOD the same file must compile: so nothing passes because of a spelling
mistake. Warnings are errors in both.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# precompile.py makes the precompiled header with the same ones.
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fdiagnostics-color=never"]
EXPECT = re.compile(r"^// expect(?:\((\S+)\))?: (.+?)\s*$", re.MULTILINE)
COMPILERS = re.compile(r"^// compilers: (.+?)\s*$", re.MULTILINE)
SKIP = 77


def compile_file(path, source, extra, *defines):
    command = [path, *FLAGS, "-fsyntax-only", *extra, *defines]
    plain_quotes = {**os.environ, "LC_ALL": "C"}  # so that an expectation can be ASCII
    return subprocess.run([*command, str(source)], capture_output=True, text=True, check=False,
                          env=plain_quotes)


def use_precompiled(name, path):
    """The arguments with which a compile starts from a precompiled header, at a tenth of the time."""
    if name.startswith("clang"):
        return ["-include-pch", path]
    # g++ finds X.gch by itself where X is included, and warns if it cannot use it.
    return ["-include", path.removesuffix(".gch"), "-Winvalid-pch"]


def check(name, path, source, extra):
    """Returns a list of problems, or None where the file is not for this compiler."""
    text = source.read_text()
    only = COMPILERS.search(text)
    if only and name not in re.split(r"[,\s]+", only.group(1)):
        return None
    expected = [regex for compiler, regex in EXPECT.findall(text) if compiler in ("", name)]
    if not expected:
        return [f"{source.name}: no `// expect: <regex>` line for {name}"]
    if "SIDING_GOOD" not in text:
        return [f"{source.name}: no right program under SIDING_GOOD"]

    found = []
    good = compile_file(path, source, extra, "-DSIDING_GOOD")
    if good.returncode != 0:
        found.append(f"{source.name}: the right program does not compile:\n{good.stderr}")
    bad = compile_file(path, source, extra)
    if bad.returncode == 0:
        found.append(f"{source.name}: the misuse compiles")
    else:
        for regex in expected:
            if not re.search(regex, bad.stderr):
                found.append(f"{source.name}: refused, but not with /{regex}/:\n{bad.stderr}")
    return found


GOOD = "#ifdef SIDING_GOOD\nint x = 1;\n#else\n{}\n#endif\n"
SAMPLES = {
    "refused": ("// expect: no no\n" + GOOD.format('static_assert(false, "no no");'), None),
    "warned": ("// expect: nodiscard\n"
               + GOOD.format("[[nodiscard]] int f();\nvoid g() { f(); }"), None),
    "compiles": ("// expect: no no\n" + GOOD.format("int x = 2;"), "the misuse compiles"),
    "other_reason": ("// expect: no no\n" + GOOD.format("int x = y;"), "refused, but not with"),
    "one_of_two": ("// expect: no no\n// expect: yes\n"
                   + GOOD.format('static_assert(false, "no no");'), "refused, but not with"),
    "spelling": ("// expect: error\n#ifdef SIDING_GOOD\nimt x;\n#else\nimt x;\n#endif\n",
                 "the right program does not compile"),
    "no_expectation": (GOOD.format("int x = y;"), "no `// expect"),
    "no_good": ("// expect: error\nint x = y;\n", "no right program"),
    "elsewhere": ("// expect: no no\n// compilers: other++\n" + GOOD.format(""), "not for this"),
}


def self_test(name, path):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for stem, (text, expected) in SAMPLES.items():
            source = pathlib.Path(folder) / f"{stem}.cpp"
            source.write_text(text)
            got = check(name, path, source, [])
            if got is None:
                got = ["not for this compiler"]
            if (expected is None and got) or (
                    expected is not None and not any(expected in line for line in got)):
                failures.append(f"{stem}: expected {expected}, got {got}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True, help="name=path")
    parser.add_argument("--include", help="the folder of the headers")
    parser.add_argument("--precompiled", help="what precompile.py made of them")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("source", nargs="?")
    options = parser.parse_args()
    name, path = options.compiler.split("=", 1)
    if options.self_test:
        found = self_test(name, path)
    else:
        source = pathlib.Path(options.source)
        extra = ["-I", options.include]
        if "#define SIDING_" not in source.read_text():  # it would come too late
            extra += use_precompiled(name, options.precompiled)
        found = check(name, path, source, extra)
        if found is None:
            print(f"skipped: not for {name}")
            return SKIP
    print("\n".join(found) or "ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
