// SPDX-License-Identifier: MIT
#include <siding/detail/code_identity.hpp>

#include "code_segments.hpp"
#include "demangled.hpp"

#include <siding/error.hpp>

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <typeinfo>
#include <vector>

// The loader tells the modules with dl_iterate_phdr, and with each of them how many were ever
// loaded and unloaded. A table of their executable segments is kept until one of these counts
// changes, so a plugin that was reloaded at the same address is never taken for its former self.
//
// Workers are copies of the program at its start, so what is loaded later is not there. A module
// that was loaded at the start is never unloaded, so its base tells it from those.
//
// The table's mutex is only ever tried: who does not get it walks the modules himself. So a child
// that was forked while another thread held it cannot hang.

namespace siding::detail {

namespace {

struct Segment : CodeSegment {
  bool loaded_later = false;  // than the program's start
};

/// How often a module was loaded and unloaded.
struct Generation {
  std::uint64_t loads = 0;
  std::uint64_t unloads = 0;
  friend bool operator==(const Generation&, const Generation&) = default;
};

/// The bases of the modules that were there at the program's start.
struct FirstModules {
  std::vector<std::uintptr_t> bases;
  const FirstModules* previous;  // a program may have the hook twice
};

constinit std::atomic<const FirstModules*> first_modules{nullptr};  // null where nobody noted them

bool was_loaded_later(std::uintptr_t base) {
  // acquire: pairs with the release of note_modules().
  const FirstModules* first = first_modules.load(std::memory_order_acquire);
  return first != nullptr &&
         std::find(first->bases.begin(), first->bases.end(), base) == first->bases.end();
}

// Calls `visit(segment)` with each executable segment until it says true.
template <class Visit>
void for_each_segment(Visit visit) {
  for_each_code_segment([&visit](const CodeSegment& segment) {
    return visit(Segment{segment, was_loaded_later(segment.base)});
  });
}

Generation current_generation() {
  Generation generation;
  const auto visit_first = [](dl_phdr_info* module, std::size_t, void* pointer) -> int {
    *static_cast<Generation*>(pointer) = {module->dlpi_adds, module->dlpi_subs};
    return 1;  // it is the same for all modules
  };
  ::dl_iterate_phdr(visit_first, &generation);
  return generation;
}

struct Table {
  std::mutex mutex;
  Generation generation;
  std::vector<Segment> segments;
};

// Never destroyed: a static pool may still make calls after main.
Table& table() {
  static Table* instance = new Table;
  return *instance;
}

// The first segment that `matches`; one with no module if there is none.
template <class Matches>
Segment find_segment(Matches matches) {
  Table& known = table();
  const std::unique_lock lock(known.mutex, std::try_to_lock);
  if (!lock.owns_lock()) {
    Segment found;
    for_each_segment([&](const Segment& segment) {
      if (!matches(segment)) return false;
      found = segment;
      return true;
    });
    return found;
  }
  const Generation generation = current_generation();
  if (known.segments.empty() || known.generation != generation) {
    known.segments.clear();
    for_each_segment([&known](const Segment& segment) {
      known.segments.push_back(segment);
      return false;
    });
    known.generation = generation;
  }
  const auto found = std::find_if(known.segments.begin(), known.segments.end(), matches);
  return found != known.segments.end() ? *found : Segment();
}

}  // namespace

void note_modules() noexcept {
  // Never destroyed, and reachable: a call may be made after main().
  const FirstModules* previous = first_modules.load(std::memory_order_relaxed);
  auto* noted = new FirstModules{{}, previous};
  const auto note = [](dl_phdr_info* module, std::size_t, void* bases) -> int {
    static_cast<std::vector<std::uintptr_t>*>(bases)->push_back(module->dlpi_addr);
    return 0;
  };
  ::dl_iterate_phdr(note, &noted->bases);
  first_modules.store(noted, std::memory_order_release);
}

CodeId code_id_of(const void* address, const std::type_info& function) {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  const Segment found = find_segment(
      [place](const Segment& segment) { return segment.begin <= place && place < segment.end; });
  if (found.end == 0) {
    throw NotPortable(
        fmt::format("the address {} is in no loaded module, so the function there "
                    "cannot be named to another process",
                    address));
  }
  if (found.loaded_later) {
    Dl_info info{};
    ::dladdr(address, &info);
    throw NotPortable(fmt::format(
        "a function of type {} lives in {}, which was loaded after the program's start: worker "
        "processes have only what the program is linked with (or LD_PRELOAD). Link it, or call a "
        "function of the program that loads it itself, in the worker",
        demangled(function.name()), info.dli_fname != nullptr ? info.dli_fname : "a module"));
  }
  return {found.module, place - found.base};
}

const void* code_at(CodeId id) {
  bool loaded = false;
  const Segment found = find_segment([id, &loaded](const Segment& segment) {
    if (segment.module != id.module) return false;
    loaded = true;
    const std::uintptr_t place = segment.base + id.offset;
    return segment.begin <= place && place < segment.end;
  });
  if (found.end != 0) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    return reinterpret_cast<const void*>(found.base + id.offset);
  }
  throw SerializationError(
      loaded ? fmt::format("the offset {:#x} is not in the code of its module", id.offset)
             : fmt::format("the module {:016x} of a function is not loaded in this process. Worker "
                           "processes have only what the program is linked with (or LD_PRELOAD): "
                           "link it, or call a function of the program that loads it itself",
                           id.module));
}

}  // namespace siding::detail
