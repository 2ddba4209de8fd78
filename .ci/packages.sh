# SPDX-License-Identifier: MIT
# Sourced by tests/run.sh, examples/run.sh: installs what a build needs and only if it is missing.
#
#   need PACKAGE COMMAND...   notes PACKAGE as missing unless COMMAND succeeds
#   install_missing           installs the noted Debian packages; 1 with a sentence if it cannot

missing_packages=()

need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing_packages+=("$package")
}

has_header() {
  echo "#include <$1>" | g++ -E -x c++ -
}

need_build_tools() {
  need g++ command -v g++
  need meson command -v meson
  need ninja-build command -v ninja
  need pkg-config command -v pkg-config
  need python3 command -v python3
  need liburing-dev pkg-config --exists liburing
  need libfmt-dev pkg-config --exists fmt
}

install_missing() {
  local packages="${missing_packages[*]}"
  [ -n "$packages" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "Missing, and there is no apt-get to install them (Debian's names): $packages" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Missing, and only root can install them: apt-get install $packages" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing: $packages"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes \
      --no-install-recommends "${missing_packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "apt-get could not install: $packages (its last lines are above)." >&2
    return 1
  fi
  rm -f "$log"
  missing_packages=()
}
