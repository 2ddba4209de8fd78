// SPDX-License-Identifier: MIT
#include <siding/log.hpp>

#include <cstdio>
#include <mutex>
#include <utility>

namespace siding {

namespace {

struct Sink {
  std::recursive_mutex mutex;  // a sink may itself cause a report
  std::function<void(std::string_view)> function;
};

// Never destroyed: a static pool may still report something when it ends after main.
Sink& sink() {
  static Sink* instance = new Sink;
  return *instance;
}

}  // namespace

void set_log_sink(std::function<void(std::string_view line)> function) {
  Sink& target = sink();
  const std::lock_guard lock(target.mutex);
  target.function.swap(function);
}

namespace detail {

void log(std::string_view line) noexcept {
  try {
    Sink& target = sink();
    const std::lock_guard lock(target.mutex);
    if (target.function) {
      const auto function = target.function;  // it may replace itself
      function(line);
    } else {
      std::fprintf(stderr, "siding: %.*s\n", static_cast<int>(line.size()), line.data());
    }
  } catch (...) {
    // There is nowhere left to report that the sink failed.
  }
}

}  // namespace detail
}  // namespace siding
