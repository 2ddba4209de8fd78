// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/fixed_text.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/future.hpp>

#include <string>
#include <vector>

namespace siding::detail {

class Loop;

/// "f (src/feed.cpp:41)". In a signal handler too.
void write_place(FixedText& text, const Place& place) noexcept;
std::string place_text(const Place& place);
/// Whether it is in a header of the library: such coroutines say nothing to a user.
bool is_in_library(const Place& place) noexcept;

/// The oldest first. Loop thread.
std::vector<AnyFuture> all_tasks(const Scheduler& scheduler);

/// All tasks of a loop as text; any thread while the loop runs, else its owner's.
std::string dump_tasks(Loop& loop);

/// What the thread of a running loop does at this moment, and its stack; or why that cannot be said.
/// Not on that thread.
std::string describe_stuck_thread(Loop& loop);

}  // namespace siding::detail
