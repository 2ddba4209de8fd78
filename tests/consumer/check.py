#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds and runs consumer.cpp as users would: with pkg-config against the library as installed from
a build folder, and as a Meson project that has siding as a subproject.

Usage: check.py SOURCE_ROOT BUILD_ROOT COMPILER
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

EXPECTED = "0.1.0 40\n"
SKIP = 77

MESON_BUILD = """project('consumer', 'cpp', default_options: ['cpp_std=c++20'])
executable('consumer', 'consumer.cpp', dependencies: dependency('siding'))
"""
WRAP = "[provide]\nsiding = siding_dep\n"


def run(command, **options):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        refused = re.search(r"cannot create an io_uring.*", done.stdout)
        if refused and os.environ.get("SIDING_REQUIRE_IO_URING") != "1":
            print("skipped:", refused.group(0))
            sys.exit(SKIP)
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def expect(output, how):
    if output != EXPECTED:
        sys.exit(f"{how}: printed {output!r} and not {EXPECTED!r}")
    print(f"ok: {how}")


def installed(source, build, compiler, folder):
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder])
    libraries = {path.parent for path in folder.rglob("libsiding*")}
    packages = next(folder.rglob("siding.pc")).parent
    environment = dict(os.environ, PKG_CONFIG_PATH=str(packages),
                       PKG_CONFIG_SYSROOT_DIR=str(folder),
                       LD_LIBRARY_PATH=":".join(map(str, libraries)))
    flags = run(["pkg-config", "--cflags", "--libs", "siding"], env=environment).split()
    program = folder / "consumer"
    run([compiler, "-std=c++20", source / "tests/consumer/consumer.cpp", "-o", program, *flags])
    expect(run([program], env=environment), "installed, with pkg-config")


def subproject(source, folder):
    (folder / "subprojects").mkdir()
    (folder / "subprojects/siding").symlink_to(source)
    (folder / "meson.build").write_text(MESON_BUILD)
    (folder / "consumer.cpp").write_text((source / "tests/consumer/consumer.cpp").read_text())
    (folder / "subprojects/siding.wrap").write_text("[wrap-file]\n" + WRAP)
    run(["meson", "setup", folder / "build", folder])
    listed = run(["meson", "introspect", folder / "build", "--tests"])
    if listed.strip() != "[]":
        sys.exit("as a subproject siding must not build its tests")
    run(["meson", "compile", "-C", folder / "build"])
    expect(run([folder / "build/consumer"]), "as a subproject")


def main():
    source, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    for check in (lambda folder: installed(source, build, compiler, folder),
                  lambda folder: subproject(source, folder)):
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))


main()
