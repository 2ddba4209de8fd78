// SPDX-License-Identifier: MIT
// refused by g++ before 12.3: internal compiler error
// A temporary with a destructor on the left of ||, and a co_await on its right.
#include <siding/task.hpp>

class Thing {
 public:
  Thing();
  ~Thing();
  bool ok() const;
};
siding::Task<bool> answer();

siding::Task<bool> both() {
  const bool got = Thing().ok() || co_await answer();  // lint: pattern probe
  co_return got;
}
