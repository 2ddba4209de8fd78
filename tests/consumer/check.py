#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds and runs programs as users would, and looks whether they can have worker processes: with
pkg-config against a shared and a static library, as a Meson project that has siding as a subproject,
without the process hook, and as a plugin.

Usage: check.py SOURCE_ROOT BUILD_ROOT COMPILER
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

EXPECTED = "0.1.0 41\n"
REFUSED = re.compile(r"threads: 7\nprocesses: .*without siding's process hook.*"
                     r"pkg-config --libs siding.*\n")
LATE = re.compile(r"late: a function of type try_late_call.* lives in .*plugin\.so, which was loaded "
                  r"after the program's start: .*\n")
SKIP = 77

MESON_BUILD = """project('consumer', 'cpp', default_options: ['cpp_std=c++20'])
executable('consumer', 'consumer.cpp', dependencies: dependency('siding'))
"""
LITTLE = """#include <siding/version.hpp>
#include <cstdio>
int main() { std::puts(siding::version()); }
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


def expect(output, how, expected=re.compile(re.escape(EXPECTED))):
    if not expected.fullmatch(output):
        sys.exit(f"{how}: printed {output!r} and not {expected.pattern!r}")
    print(f"ok: {how}")


class Installed:
    """siding as installed into a folder, and what pkg-config says of it."""

    def __init__(self, folder, source, compiler, package=None):
        self.folder, self.sources, self.compiler = folder, source / "tests/consumer", compiler
        self.package = package or next(folder.rglob("siding.pc"))
        self.libraries = {path.parent for path in folder.rglob("libsiding*")}

    def environment(self):
        return dict(os.environ, PKG_CONFIG_PATH=str(self.package.parent),
                    PKG_CONFIG_SYSROOT_DIR=str(self.folder),
                    LD_LIBRARY_PATH=":".join(map(str, self.libraries)))

    def flags(self, *options):
        return run(["pkg-config", "--cflags", "--libs", *options, "siding"],
                   env=self.environment()).split()

    def build(self, name, program, *flags):
        target = self.folder / program
        run([self.compiler, "-std=c++20", self.sources / f"{name}.cpp", "-o", target, *flags])
        return target

    def check(self, how, name, *flags, expected=re.compile(re.escape(EXPECTED))):
        expect(run([self.build(name, "program", *flags)], env=self.environment()), how, expected)


def installed(source, build, compiler, folder):
    run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder])
    siding = Installed(folder, source, compiler)
    flags = siding.flags()
    siding.check("installed, with pkg-config", "consumer", *flags)
    siding.check("the hook twice", "consumer", *flags, *flags)
    siding.check("the hook as a source too", "consumer", source / "src/process_hook.cpp",
                 source / "src/process_hook.cpp", *flags)
    without = [flag for flag in flags if "hook" not in flag]
    siding.check("without the hook", "plugin", "-DWITH_MAIN", *without, expected=REFUSED)
    host = siding.build("host", "host", "-ldl")
    hooked = siding.build("host", "hooked", *flags, "-ldl")
    for linker in ("bfd", "gold", "lld"):
        shared = ["-shared", "-fPIC", f"-fuse-ld={linker}"]
        if subprocess.run([compiler, *shared, "-x", "c++", "/dev/null", "-o", os.devnull],
                          capture_output=True, check=False).returncode != 0:
            print(f"left out: a plugin linked by {linker}, which is not here")
            continue
        plugin = siding.build("plugin", "plugin.so", *shared, *flags)
        # Told to be a zygote over a descriptor that is no socket, it does nothing either.
        environment = dict(siding.environment(), SIDING_ZYGOTE="1")
        expect(run([host, plugin], env=environment), f"a plugin, linked by {linker}", REFUSED)
        expect(run([hooked, plugin, "try_late_call"], env=siding.environment()),
               f"a plugin that was loaded late, linked by {linker}", LATE)


def subproject(source, compiler, folder):
    """As a subproject; and what that has built, installed, as a static library."""
    (folder / "subprojects").mkdir()
    (folder / "subprojects/siding").symlink_to(source)
    (folder / "meson.build").write_text(MESON_BUILD)
    (folder / "consumer.cpp").write_text((source / "tests/consumer/consumer.cpp").read_text())
    (folder / "subprojects/siding.wrap").write_text("[wrap-file]\n" + WRAP)
    # As one unit, which takes a seventh of the time.
    run(["meson", "setup", folder / "build", folder, "-Dsiding:default_library=both",
         "--unity=subprojects"])
    listed = run(["meson", "introspect", folder / "build", "--tests"])
    if listed.strip() != "[]":
        sys.exit("as a subproject siding must not build its tests")
    run(["meson", "compile", "-C", folder / "build"])
    expect(run([folder / "build/consumer"]), "as a subproject")

    run(["meson", "install", "-C", folder / "build", "--no-rebuild", "--quiet", "--destdir",
         folder / "installed"])
    siding = Installed(folder / "installed", source, compiler)
    flags = ["-l:libsiding.a" if flag == "-lsiding" else flag for flag in siding.flags("--static")]
    both = siding.build("consumer", "chosen", *flags)
    for path in (folder / "installed").rglob("libsiding.so*"):
        path.unlink()
    expect(run([both]), "static, where both kinds are installed")
    siding.check("static, with pkg-config --static", "consumer", *siding.flags("--static"))
    # What pkg-config is told by a build that makes a static library only.
    run(["meson", "setup", folder / "static", source, "--default-library=static",
         "-Dtests=disabled", "-Dexamples=disabled"])
    siding = Installed(folder / "installed", source, compiler,
                       folder / "static/meson-private/siding.pc")
    siding.check("static only, with pkg-config", "consumer", *siding.flags())
    (folder / "little.cpp").write_text(LITTLE)
    run([compiler, "-std=c++20", folder / "little.cpp", "-o", folder / "little", *siding.flags()])
    expect(run([folder / "little"]), "static, a program that uses nothing of pools",
           re.compile("0.1.0\n"))


def main():
    source, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    for check in (lambda folder: installed(source, build, compiler, folder),
                  lambda folder: subproject(source, compiler, folder)):
        with tempfile.TemporaryDirectory() as folder:
            check(pathlib.Path(folder))


main()
