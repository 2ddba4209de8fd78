// SPDX-License-Identifier: MIT
#include <siding/run_coroutine_threadsafe.hpp>

#include <siding/error.hpp>

namespace siding::detail {

void throw_closed_to_tasks() {
  throw LoopClosed("run_coroutine_threadsafe: this event loop is closed; make a new one");
}

}  // namespace siding::detail
