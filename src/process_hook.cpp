// SPDX-License-Identifier: MIT
// Compiled into every executable that uses siding (Meson and pkg-config see to it), never into the
// library: it makes a copy of the program that was started as a zygote stop before main().
//
// It stands early in the executable's table of constructors. In a zygote it runs the rest of the
// table itself, so that all static objects exist, and then serves and never returns. In every other
// start it costs one look at the environment.
//
// In a shared object, such as a plugin of a foreign program, it does nothing: that program cannot be
// started again as a worker.
//
// No header of the library is included, so that this file can be compiled by any version of it.

#include <link.h>

#include <cstddef>
#include <cstdint>

namespace siding::detail {
void note_hook() noexcept;
void note_modules() noexcept;
bool zygote_wanted() noexcept;
[[noreturn]] void serve_zygote() noexcept;
}  // namespace siding::detail

namespace {

using Constructor = void (*)(int, char**, char**);

}  // namespace

// The executable's table. Of shared objects ld makes none, gold and lld make their own.
extern "C" {
extern const Constructor __init_array_start[] __attribute__((weak, visibility("hidden")));
extern const Constructor __init_array_end[] __attribute__((weak, visibility("hidden")));
}

namespace {

// Whether this file was linked into the program and not into a shared object.
bool is_in_program() {
  const auto look = [](dl_phdr_info* object, std::size_t, void* found) {
    const auto here = reinterpret_cast<std::uintptr_t>(&__init_array_start);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& segment = object->dlpi_phdr[i];
      const std::uintptr_t offset = here - object->dlpi_addr - segment.p_vaddr;
      if (segment.p_type == PT_LOAD && offset < segment.p_memsz) *static_cast<bool*>(found) = true;
    }
    return 1;  // the first object is the program: no other one is looked at
  };
  bool found = false;
  ::dl_iterate_phdr(look, &found);
  return found;
}

void hook(int argc, char** argv, char** environment) {
  const Constructor* next = __init_array_start;
  if (next == nullptr || !is_in_program()) return;
  siding::detail::note_hook();
  if (!siding::detail::zygote_wanted()) return;
  while (next != __init_array_end && *next != hook) ++next;
  if (next == __init_array_end) return;
  for (++next; next != __init_array_end; ++next) (*next)(argc, argv, environment);
  siding::detail::serve_zygote();
}

// Behind the constructors of the objects that stand before this one on the linker's line: what they
// load is there in workers too.
void note(int, char**, char**) {
  if (__init_array_start != nullptr && is_in_program()) siding::detail::note_modules();
}

// 101 is the first priority that programs may use.
[[gnu::used, gnu::section(".init_array.00101")]] const Constructor entry = hook;
[[gnu::used, gnu::section(".init_array")]] const Constructor last_entry = note;

}  // namespace

// By this name a linker is told to take this file out of its archive.
extern "C" __attribute__((used, weak, visibility("hidden"))) void siding_process_hook() {}
