// SPDX-License-Identifier: MIT
// expect: the callback returns a Task, which would never run: give it to create_task
#include <siding/event_loop.hpp>

siding::Task<> step();

void start(siding::EventLoop& loop) {
#ifdef SIDING_GOOD
  loop.create_task(step);
#else
  loop.call_soon(step);
#endif
}
