// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

// Where queues keep their items: push, pop, swap. pop() of an empty
// store is not allowed. An item whose move throws stays.

namespace siding::detail {

/// First in, first out: a ring. Unlike std::deque it allocates only to grow.
template <class T>
class FifoStore {
 public:
  FifoStore() = default;
  FifoStore(FifoStore&& other) noexcept
      : slots_(std::move(other.slots_)),
        capacity_(std::exchange(other.capacity_, 0)),
        first_(std::exchange(other.first_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  FifoStore& operator=(FifoStore&& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(capacity_, other.capacity_);
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~FifoStore() {
    while (size_ != 0) drop_first();
  }

  template <class U>
  void push(U&& value) {
    if (size_ == capacity_) grow();
    std::construct_at(place(size_), std::forward<U>(value));
    ++size_;
  }

  T pop() {
    T value = std::move(*place(0));
    drop_first();
    // A burst must not hold its memory for ever.
    if (size_ == 0 && capacity_ > kept_capacity) {
      slots_.reset();
      capacity_ = 0;
    }
    return value;
  }

 private:
  union Slot {
    Slot() noexcept {}
    ~Slot() {}
    T value;
  };
  static constexpr std::size_t first_capacity = 8;   // chosen
  static constexpr std::size_t kept_capacity = 4096;  // chosen

  // Capacities are powers of two.
  T* place(std::size_t index) noexcept {
    return std::addressof(slots_[(first_ + index) & (capacity_ - 1)].value);
  }
  void drop_first() noexcept {
    std::destroy_at(place(0));
    ++first_;
    --size_;
  }
  void grow() {
    FifoStore larger;
    larger.capacity_ = std::max(first_capacity, capacity_ * 2);
    larger.slots_ = std::unique_ptr<Slot[]>(new Slot[larger.capacity_]);
    for (; larger.size_ < size_; ++larger.size_) {
      std::construct_at(larger.place(larger.size_), std::move_if_noexcept(*place(larger.size_)));
    }
    *this = std::move(larger);
  }

  std::unique_ptr<Slot[]> slots_;
  std::size_t capacity_ = 0;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

/// Last in, first out.
template <class T>
class LifoStore {
 public:
  template <class U>
  void push(U&& value) {
    items_.emplace_back(std::forward<U>(value));
  }
  T pop() {
    T value = std::move(items_.back());
    items_.pop_back();
    return value;
  }

 private:
  std::vector<T> items_;
};

/// The least first; of equals, the first in: a heap with numbers.
template <class T, class Compare>
class PriorityStore {
 public:
  template <class U>
  void push(U&& value) {
    items_.emplace_back(std::forward<U>(value), ++numbers_);
    std::push_heap(items_.begin(), items_.end(), later_);
  }
  T pop() {
    std::pop_heap(items_.begin(), items_.end(), later_);
    T value = std::move(items_.back().value);
    items_.pop_back();
    return value;
  }

 private:
  struct Item {
    template <class U>
    Item(U&& given, std::uint64_t place) : value(std::forward<U>(given)), number(place) {}
    T value;
    std::uint64_t number;
  };
  struct Later {
    Compare less{};
    bool operator()(const Item& a, const Item& b) const {
      if (less(b.value, a.value)) return true;
      return !less(a.value, b.value) && a.number > b.number;
    }
  };

  std::vector<Item> items_;
  std::uint64_t numbers_ = 0;
  Later later_;
};

}  // namespace siding::detail
