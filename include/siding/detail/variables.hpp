// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace siding::detail {

struct VariableMap;

/// The values of context variables as some code sees them: of a task, of a callback, of a call on a
/// worker, or of a plain thread. Copies share them until one is changed. Null where none was set.
class SIDING_EXPORT Variables {
 public:
  using Value = std::shared_ptr<const void>;

  Variables() noexcept = default;
  Variables(const Variables& other) noexcept : map_(other.map_) {
    if (map_ != nullptr) [[unlikely]] retain();
  }
  Variables(Variables&& other) noexcept : map_(std::exchange(other.map_, nullptr)) {}
  Variables& operator=(Variables other) noexcept {
    std::swap(map_, other.map_);
    return *this;
  }
  ~Variables() {
    if (map_ != nullptr) [[unlikely]] release();
  }

  /// Null if the variable has its initial value.
  Value find(std::uint64_t variable) const noexcept;
  /// Null: its initial value. Throws std::bad_alloc.
  void set(std::uint64_t variable, Value value);

  bool same_as(const Variables& other) const noexcept { return map_ == other.map_; }

 private:
  void retain() const noexcept;
  void release() noexcept;

  VariableMap* map_ = nullptr;
};

/// Those of the running task, else those of the thread.
SIDING_EXPORT Variables& current_variables() noexcept;

/// Runs code that brings its own variables; what it changes ends with the scope.
class VariablesScope {
 public:
  explicit VariablesScope(Variables variables) noexcept
      : place_(current_variables()), outer_(std::exchange(place_, std::move(variables))) {}
  ~VariablesScope() { place_ = std::move(outer_); }
  VariablesScope(const VariablesScope&) = delete;
  VariablesScope& operator=(const VariablesScope&) = delete;

 private:
  Variables& place_;
  Variables outer_;
};

}  // namespace siding::detail
