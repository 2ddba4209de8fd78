// SPDX-License-Identifier: MIT
#include <siding/detail/waiter_list.hpp>
#include <siding/error.hpp>

#include <fmt/format.h>

namespace siding::detail {

void WaiterList::orphan() noexcept {
  while (first_ != nullptr) {
    Waiter& waiter = *first_;
    waiter.end(Waiter::Ending::orphaned);
    waiter.orphaned();
  }
}

void WaiterList::check_their_thread(const char* what) const {
  const Scheduler& scheduler = first_->scheduler();
  if (current_scheduler != &scheduler) [[unlikely]] scheduler.check_thread(what);
}

// Out of line, so that the table of virtual functions is made here and nowhere else.
bool Waiter::cancel() noexcept {
  if (ending_ != Ending::none || cancelled_) return false;
  cancelled_ = true;
  leave_list();
  enqueue();
  return true;
}

void Waiter::describe(FixedText& text) const noexcept {
  text.add(queued_ ? "its turn, after " : "").add(waits_for());
}

void Waiter::throw_orphaned(const char* what) {
  throw InvalidStateError(fmt::format(
      "{}: the object was destroyed while this task waited for it; let it outlive its tasks",
      what));
}

void HomeLoop::move_to(Scheduler& scheduler, std::string_view what) {
  if (inbox_ != nullptr && !inbox_->is_closed()) {
    throw InvalidStateError(fmt::format(
        "{}: this object serves another event loop than the one of this task; make one for each "
        "loop",
        what));
  }
  inbox_ = scheduler.inbox;
}

}  // namespace siding::detail
