// SPDX-License-Identifier: MIT
// expect: cannot cross to another process
// expect: a_closure_with_captures
#include <siding/wire.hpp>

struct Scale {
  int factor;
  int operator()(int number) const { return factor * number; }
};

template <class F>
void send(F) {
  static_assert(siding::detail::require_portable_callable<F>);
}

void send_scaled(int factor) {
#ifdef SIDING_GOOD
  send([](int number) { return 2 * number; });
  send(Scale{factor});
#else
  send([factor](int number) { return factor * number; });
#endif
}
