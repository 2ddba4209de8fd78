#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing, makes a release build in build/ and runs the two `blocks` programs.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/packages.sh
need_build_tools
install_missing || { echo "examples/run.sh cannot go on without these packages." >&2; exit 1; }

# A build folder that is there is kept, with its compiler; only what the examples need is set.
options=(--buildtype=release -Dexamples=enabled)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
  if [ -e build/build.ninja ]; then
    meson configure build "${options[@]}"
  else
    meson setup build "${options[@]}" -Dtests=disabled
  fi
  meson compile -C build
} >"$log" 2>&1 || { cat "$log" >&2; exit 1; }

for program in blocks_threads blocks_processes; do
  echo "== build/examples/$program"
  "build/examples/$program"
done
