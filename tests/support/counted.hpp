// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <utility>

namespace siding_test {

/// What became of the objects of one test.
struct Counts {
  std::atomic<int> made{0};  // in any way, copies and moves too
  std::atomic<int> copied{0};
  std::atomic<int> moved{0};
  std::atomic<int> destroyed{0};

  int alive() const { return made.load() - destroyed.load(); }
};

/// A value that counts what is done to it. Any thread.
class Counted {
 public:
  explicit Counted(Counts& counts, int value = 0) : counts_(&counts), value_(value) {
    ++counts_->made;
  }
  Counted(const Counted& other) : counts_(other.counts_), value_(other.value_) {
    ++counts_->made;
    ++counts_->copied;
  }
  Counted(Counted&& other) noexcept
      : counts_(other.counts_), value_(std::exchange(other.value_, -1)) {
    ++counts_->made;
    ++counts_->moved;
  }
  Counted& operator=(const Counted&) = delete;
  ~Counted() { ++counts_->destroyed; }

  int value() const { return value_; }  // -1: moved from

 private:
  Counts* counts_;
  int value_;
};

}  // namespace siding_test
