#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what is missing, builds, and runs the tests.
#
#   tests/run.sh [--all] [--config NAME]... [arguments of `meson test`]
#
# Without --all or --config: g++ without sanitizers, in build-tests/. With --all: every
# configuration of continuous integration, then the library and the examples as a release build.
# Configurations are called gcc, gcc-asan (address and undefined), gcc-tsan, clang, clang-asan and
# clang-tsan; each has its own build-tests-NAME/, treats warnings as errors and fails where io_uring is
# missing. They are unity builds, which compile in half the time; the build without a name is not, so
# that a changed file is compiled alone.
#
# The last line is `N passed, N failed, N skipped`: doctest cases and scripted tests, summed over
# all configurations. The exit status is 0 if something passed and nothing failed.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
source .ci/packages.sh

# CC-006: all tests, under each sanitizer.
all_configs=(gcc gcc-asan gcc-tsan clang clang-asan clang-tsan)
# Files compiled as one unit. Chosen: the largest unit takes a quarter of a build's time, so that both
# processors are kept busy; larger ones would save little (4 % of their code is compiled twice).
unity_size=24
# These depend little or not at all on how the library was built: they run in the first configuration
# only.
build_independent=(headers must_not_compile layering model consumer start_methods)

passed=0
failed=0
skipped=0
times=()
failures=""

# What failed is told again at the end, where those who see only the end of a long log find it.
finish() {
  if [ ${#times[@]} -gt 1 ] && [ -n "$failures" ]; then printf '\n%s\n' "$failures"; fi
  if [ ${#times[@]} -gt 0 ]; then printf '\n'; printf '%s\n' "${times[@]}"; fi
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

give_up() {
  echo "$1" >&2
  failed=$((failed + 1))
  finish || exit 1
}

configs=()
meson_args=()
run_examples=no
while [ $# -gt 0 ]; do
  case $1 in
    --all) configs=("${all_configs[@]}"); run_examples=yes ;;
    --config) shift; configs+=("${1:?--config needs a name}") ;;
    --config=*) configs+=("${1#--config=}") ;;
    -h | --help) sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) meson_args+=("$1") ;;
  esac
  shift
done
[ ${#configs[@]} -gt 0 ] || configs=(default)

for config in "${configs[@]}"; do
  case $config in
    default | gcc | gcc-asan | gcc-tsan | clang | clang-asan | clang-tsan) ;;
    *) echo "tests/run.sh: no configuration is called '$config'; see --help" >&2; exit 2 ;;
  esac
done

has_clang_runtime() {
  compgen -G "$(clang++-19 -print-resource-dir)/lib/*/libclang_rt.asan*.a"
}

need_build_tools
need doctest-dev has_header doctest/doctest.h
if [ -e tests/model/run.sh ]; then need spin command -v spin; fi
if [[ " ${configs[*]}" == *" clang"* ]] || [ $run_examples = yes ]; then
  need clang-19 command -v clang++-19
  need libclang-rt-19-dev has_clang_runtime
fi
if [ -e examples/fetch_feed.cpp ]; then need libcurl4-openssl-dev pkg-config --exists libcurl; fi
if [ -e examples/read_and_query.cpp ]; then need libsqlite3-dev pkg-config --exists sqlite3; fi

install_missing || give_up "tests/run.sh cannot go on without these packages."

# Where the kernel places memory at too many random bits, older sanitizers die at the start. Prints
# the prefix under which a program built with flags $2 of compiler $1 runs: nothing, or setarch -R.
sanitizer_prefix() {
  local folder prefix try
  folder=$(mktemp -d)
  echo 'int main() { return 0; }' >"$folder/probe.cpp"
  "$1" "-fsanitize=$2" "$folder/probe.cpp" -o "$folder/probe" || { rm -rf "$folder"; return 1; }
  for prefix in "" "setarch $(uname -m) -R"; do
    for try in 1 2 3 4 5 6 7 8 9 10 ok; do
      [ $try = ok ] && break
      $prefix "$folder/probe" >/dev/null 2>&1 || break
    done
    if [ "$try" = ok ]; then echo "$prefix"; rm -rf "$folder"; return 0; fi
  done
  rm -rf "$folder"
  return 1
}

# Configures and compiles folder $1 with the options that follow.
build() {
  local folder=$1 log
  shift
  log=$(mktemp)
  if [ -e "$folder/build.ninja" ]; then
    meson setup --reconfigure "$folder" "$@" >"$log" 2>&1 || rm -rf "$folder"
  fi
  if [ ! -e "$folder/build.ninja" ]; then
    rm -rf "$folder"
    meson setup "$folder" "$@" >"$log" 2>&1 || { cat "$log"; rm -f "$log"; return 1; }
  fi
  rm -f "$log"
  meson compile -C "$folder"
}

# Runs the tests of folder $1 and adds to the counts; arguments after it go to `meson test`, which
# builds what only some tests need, such as precompiled headers.
run_tests() {
  local folder=$1 status=0 report numbers
  shift
  rm -f "$folder"/meson-logs/testlog*.json
  $prefix meson test -C "$folder" "$@" || status=$?
  if ! compgen -G "$folder/meson-logs/testlog*.json" >/dev/null; then
    report="0 1 0" # nothing ran: meson has said why
  elif ! report=$(python3 tests/summary.py "$folder"/meson-logs/testlog*.json); then
    report="0 1 0"
  fi
  read -r -a numbers <<<"$(tail -n 1 <<<"$report")"
  sed '$d' <<<"$report"
  if [ "${numbers[1]}" -gt 0 ]; then
    failures+=$'\n'"===== failed in $(basename "$folder"):"$'\n'"$(sed '$d' <<<"$report")"
  fi
  # Meson failed for a reason that is in no log, such as a wrong argument.
  if [ $status -ne 0 ] && [ "${numbers[1]}" -eq 0 ]; then numbers[1]=1; fi
  passed=$((passed + numbers[0]))
  failed=$((failed + numbers[1]))
  skipped=$((skipped + numbers[2]))
  counts="${numbers[0]} passed, ${numbers[1]} failed, ${numbers[2]} skipped"
}

export ASAN_OPTIONS="halt_on_error=1"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1"

first=yes
for config in "${configs[@]}"; do
  started=$SECONDS
  prefix=
  counts="did not build"
  case $config in clang*) CXX=clang++-19 ;; *) CXX=g++ ;; esac
  export CXX
  case $config in
    *-asan) sanitize=address,undefined ;;
    *-tsan) sanitize=thread ;;
    *) sanitize=none ;;
  esac
  folder=build-tests-$config
  # Sanitized builds are not optimised: g++ 12 takes five times as long to compile them at -O2, and
  # plain ones are; so the tests run both ways.
  if [ $sanitize != none ]; then
    options=(--buildtype=debug)
  elif [ "$config" = default ]; then
    options=(--buildtype=debugoptimized)
  else
    options=(-Doptimization=2 -Ddebug=false) # what a debugger knows took an eighth of the time
  fi
  # Of the examples, the release build at the end and g++'s sanitizers tell enough.
  case $config in
    default | gcc-asan | gcc-tsan) examples=enabled ;;
    *) examples=disabled ;;
  esac
  options+=(-Dtests=enabled -Dexamples=$examples "-Db_sanitize=$sanitize")
  case $config in clang-*) options+=(-Db_lundef=false) ;; esac
  if [ "$config" = default ]; then
    folder=build-tests
  else
    options+=(--werror -Dunity=on "-Dunity_size=$unity_size")
    export SIDING_REQUIRE_IO_URING=1
  fi
  cpp_args=()
  # g++ collects its garbage from 1.5 GB on and not from 128 MB: an eighth of the time.
  case $config in gcc*) cpp_args+=(--param=ggc-min-heapsize=1500000) ;; esac
  # Two fifths of what g++ takes to compile go into these checks of the undefined-behaviour sanitizer
  # (54 s and 31 s for 16 tests). clang-asan has them but for vptr, which needs descriptors to look at
  # an object, and a test takes all of them away.
  case $config in
    gcc-asan) for check in null alignment vptr; do cpp_args+=("-fno-sanitize=$check"); done ;;
    clang-asan) cpp_args+=(-fno-sanitize=vptr) ;;
  esac
  if [ ${#cpp_args[@]} -gt 0 ]; then options+=("-Dcpp_args=${cpp_args[*]}"); fi
  skip_suites=()
  if [ $first = no ]; then
    for suite in "${build_independent[@]}"; do skip_suites+=(--no-suite "$suite"); done
  fi
  first=no

  printf '\n===== %s: %s, sanitizers: %s\n' "$config" "$CXX" "$sanitize"
  if [ $sanitize != none ] && ! prefix=$(sanitizer_prefix "$CXX" "$sanitize"); then
    echo "Programs built with -fsanitize=$sanitize do not start here, not even with setarch -R."
    failed=$((failed + 1))
  elif build "$folder" "${options[@]}"; then
    run_tests "$folder" "${skip_suites[@]}" "${meson_args[@]}"
  else
    echo "----- FAILED: configuration $config does not build"
    failed=$((failed + 1))
  fi
  times+=("$config: $counts, $((SECONDS - started)) s")
done

if [ $run_examples = yes ]; then
  started=$SECONDS
  prefix=
  counts="did not build"
  printf '\n===== examples: g++, release\n'
  export CXX=g++
  if build build-tests-examples --buildtype=release --werror -Dtests=disabled -Dexamples=enabled
  then
    run_tests build-tests-examples --suite examples
  else
    failed=$((failed + 1))
  fi
  times+=("examples: $counts, $((SECONDS - started)) s")
fi

finish
