#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the benchmarks beside their peers: tests/bench/run.sh [w1] ... [w6]
# Installs what is missing, makes a release build in build-bench/, runs all programs in turn
# (BENCH_ROUNDS rounds, 5 by default), prints a table per workload, writes build-bench/bench.json.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build-bench

usage() {
  echo "usage: tests/bench/run.sh [w1] ... [w6]     all of them by default" >&2
  echo "  BENCH_ROUNDS=5   rounds; every program runs once in each" >&2
  exit 2
}

workloads=
for argument in "$@"; do
  case $argument in
    w1 | W1) workloads="$workloads w1" ;;
    w2 | W2) workloads="$workloads w2" ;;
    w3 | W3) workloads="$workloads w3" ;;
    w4 | W4) workloads="$workloads w4" ;;
    w5 | W5) workloads="$workloads w5" ;;
    w6 | W6) workloads="$workloads w6" ;;
    *) usage ;;
  esac
done
workloads=${workloads:-w1 w2 w3 w4 w5 w6}

has() {
  case $1 in
    g++) command -v "${CXX:-c++}" ;;
    meson) command -v meson ;;
    ninja-build) command -v ninja ;;
    pkg-config) command -v pkg-config ;;
    python3) command -v python3 ;;
    liburing-dev) pkg-config --exists liburing ;;
    libfmt-dev) pkg-config --exists fmt ;;
    libuv1-dev) pkg-config --exists libuv ;;
    libasio-dev) pkg-config --exists asio || echo '#include <asio/version.hpp>' |
      "${CXX:-c++}" -E -x c++ - ;;
  esac >/dev/null 2>&1
}

missing() {
  for package in "$@"; do
    has "$package" || printf ' %s' "$package"
  done
}

# Never fails: what is still missing afterwards is looked at by the caller.
install() {
  if ! command -v apt-get >/dev/null; then
    echo "bench: no apt-get here, cannot install:$*" >&2
    return
  fi
  as_root=
  [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
  echo "bench: installing:$*" >&2
  # shellcheck disable=SC2086,SC2048
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $* \
    >/dev/null || {
    $as_root apt-get update >/dev/null &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $* \
        >/dev/null
  } || echo "bench: apt-get could not install:$*" >&2
}

needed="g++ meson ninja-build pkg-config python3 liburing-dev libfmt-dev"
peers="libuv1-dev libasio-dev"

# shellcheck disable=SC2086
lacking=$(missing $needed)
[ -z "$lacking" ] || install "$lacking"
# shellcheck disable=SC2086
lacking=$(missing $needed)
if [ -n "$lacking" ]; then
  echo "bench: cannot go on without:$lacking" >&2
  exit 1
fi
# shellcheck disable=SC2086
lacking=$(missing $peers)
[ -z "$lacking" ] || install "$lacking"
# shellcheck disable=SC2086
lacking=$(missing $peers)
[ -z "$lacking" ] || echo "bench: going on without the peers of:$lacking" >&2

# A tree that exists is configured again: a peer may have been installed since. --clearcache makes
# Meson look for it again.
options="--buildtype=release -Dbenchmarks=enabled -Dtests=disabled -Dexamples=disabled"
if [ -f "$build/build.ninja" ]; then
  # shellcheck disable=SC2086
  meson configure "$build" --clearcache $options >/dev/null
  meson setup --reconfigure "$build" "$root" >/dev/null
else
  # shellcheck disable=SC2086
  meson setup "$build" "$root" $options
fi
targets=
for workload in $workloads; do
  targets="$targets bench-$workload"
done
# shellcheck disable=SC2086
meson compile -C "$build" $targets

# shellcheck disable=SC2086
exec python3 "$here/compare.py" --build "$build" --rounds "${BENCH_ROUNDS:-5}" $workloads
