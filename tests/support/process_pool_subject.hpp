// SPDX-License-Identifier: MIT
#pragma once

#include <siding/process_pool.hpp>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "executor_subject.hpp"
#include "leak_guard.hpp"

namespace siding_test {

/// The start method that the environment variable SIDING_TEST_METHOD names, so that the same tests run
/// for each of them; `clean` if it is not set.
inline siding::StartMethod start_method() {
  const char* name = std::getenv("SIDING_TEST_METHOD");
  if (name == nullptr || std::string_view(name) == "clean") return siding::StartMethod::clean;
  if (std::string_view(name) == "snapshot") return siding::StartMethod::snapshot;
  if (std::string_view(name) == "isolated") return siding::StartMethod::isolated;
  throw std::logic_error("SIDING_TEST_METHOD names no start method");
}
inline bool is_clean() { return start_method() == siding::StartMethod::clean; }
inline bool is_snapshot() { return start_method() == siding::StartMethod::snapshot; }

/// A process pool under test. Nothing of it is left when it ends.
class PoolSubject : KeptForGood {
 public:
  explicit PoolSubject(siding::ProcessPoolOptions options)
      : pool_(std::make_unique<siding::ProcessPool>(with_start_method(std::move(options)))) {}
  explicit PoolSubject(std::size_t workers)
      : PoolSubject(siding::ProcessPoolOptions{.max_workers = workers}) {}
  /// With the start method that its options name, whatever the run's is.
  static PoolSubject exactly(siding::ProcessPoolOptions options) {
    return PoolSubject(std::move(options), nullptr);
  }
  siding::ProcessPool* operator->() const { return pool_.get(); }
  siding::ProcessPool& operator*() const { return *pool_; }
  void reset() { pool_.reset(); }

 private:
  PoolSubject(siding::ProcessPoolOptions options, std::nullptr_t)
      : pool_(std::make_unique<siding::ProcessPool>(std::move(options))) {}
  static siding::ProcessPoolOptions with_start_method(siding::ProcessPoolOptions options) {
    if (options.start == siding::StartMethod::clean) options.start = start_method();
    return options;
  }

  LeakGuard guard_;
  std::unique_ptr<siding::ProcessPool> pool_;
};

}  // namespace siding_test
