// SPDX-License-Identifier: MIT
#pragma once

#include <siding/process_pool.hpp>

#include <cstddef>
#include <memory>
#include <utility>

#include "executor_subject.hpp"
#include "leak_guard.hpp"

namespace siding_test {

/// A process pool under test. Nothing of it is left when it ends.
class PoolSubject : KeptForGood {
 public:
  explicit PoolSubject(siding::ProcessPoolOptions options)
      : pool_(std::make_unique<siding::ProcessPool>(std::move(options))) {}
  explicit PoolSubject(std::size_t workers)
      : PoolSubject(siding::ProcessPoolOptions{.max_workers = workers}) {}
  siding::ProcessPool* operator->() const { return pool_.get(); }
  siding::ProcessPool& operator*() const { return *pool_; }
  void reset() { pool_.reset(); }

 private:
  LeakGuard guard_;
  std::unique_ptr<siding::ProcessPool> pool_;
};

}  // namespace siding_test
