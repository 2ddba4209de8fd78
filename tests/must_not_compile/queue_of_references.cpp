// SPDX-License-Identifier: MIT
// expect: it needs a movable object type
#include <siding/queue.hpp>

#include <functional>

#ifdef SIDING_GOOD
siding::Queue<std::reference_wrapper<int>> queue;
#else
siding::Queue<int&> queue;
#endif
