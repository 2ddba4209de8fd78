// SPDX-License-Identifier: MIT
// Compiled into every executable that uses siding (Meson and pkg-config see to it), never into the
// library: it makes a copy of the program that was started as a zygote stop before main().
//
// It stands early in the executable's table of constructors. In a zygote it runs the rest of the
// table itself, so that all static objects exist, and then serves and never returns. In every other
// start it costs one look at the environment.
//
// No header of the library is included, so that this file can be compiled by any version of it.

namespace siding::detail {
void note_hook() noexcept;
bool zygote_wanted() noexcept;
[[noreturn]] void serve_zygote() noexcept;
}  // namespace siding::detail

namespace {

using Constructor = void (*)(int, char**, char**);

}  // namespace

// Made by the linker for executables only. In a shared object they are null, and a copy of this
// file that landed there does nothing.
extern "C" {
extern const Constructor __init_array_start[] __attribute__((weak, visibility("hidden")));
extern const Constructor __init_array_end[] __attribute__((weak, visibility("hidden")));
}

namespace {

void hook(int argc, char** argv, char** environment) {
  const Constructor* next = __init_array_start;
  if (next == nullptr) return;
  siding::detail::note_hook();
  if (!siding::detail::zygote_wanted()) return;
  while (next != __init_array_end && *next != hook) ++next;
  if (next == __init_array_end) return;
  for (++next; next != __init_array_end; ++next) (*next)(argc, argv, environment);
  siding::detail::serve_zygote();
}

// 101 is the first priority that programs may use.
[[gnu::used, gnu::section(".init_array.00101")]] const Constructor entry = hook;

}  // namespace
