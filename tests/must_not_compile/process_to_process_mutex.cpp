// SPDX-License-Identifier: MIT
// SE-002
// The first message says what is wrong, and the others name the part and the reason.
// expect: \A(?:(?!error:)[\s\S])*error: static assertion failed.*this type cannot cross
// expect: a_shared_ptr
// expect: Counter
#include <siding/offload.hpp>
#include <siding/process_pool.hpp>
#include <siding/task.hpp>
#include <siding/to_process.hpp>

#include <memory>
#include <mutex>

struct Counter {
  int count;
  std::shared_ptr<std::mutex> guard;
};
int increment(Counter counter);

siding::Task<int> increment_there([[maybe_unused]] siding::Executor& executor, Counter counter) {
#ifdef SIDING_GOOD
  co_return co_await siding::offload(executor, increment, counter);
#else
  co_return co_await siding::to_process(increment, counter);
#endif
}
