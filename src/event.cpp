// SPDX-License-Identifier: MIT
#include <siding/event.hpp>

namespace siding {

void Event::set() {
  waiting_.check_thread("Event::set");
  set_ = true;
  while (detail::Waiter* waiter = waiting_.first()) waiter->end(detail::Waiter::Ending::granted);
}

namespace detail {

void EventAwaiter::start() {
  event_.home_.check(scheduler(), "Event::wait");
  wait_in(event_.waiting_);
}

}  // namespace detail
}  // namespace siding
