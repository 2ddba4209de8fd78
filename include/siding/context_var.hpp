// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/carried_variables.hpp>
#include <siding/detail/variables.hpp>
#include <siding/export.hpp>
#include <siding/wire.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace siding {

namespace detail {
/// A number that no other variable of this process has had.
SIDING_EXPORT std::uint64_t next_variable() noexcept;
}  // namespace detail

/// Marks a variable whose value goes along with calls in other processes.
struct CarriedToProcesses {};
inline constexpr CarriedToProcesses carried_to_processes{};

/// A variable that each task has a value of its own for, such as the number of the request that it
/// serves: what others would keep in a thread-local variable.
///
/// A new task begins with the values of who has created it. A coroutine that is awaited shares those of
/// its caller. A callback (`call_soon`, `call_later`, `call_at`, `call_soon_threadsafe`,
/// `add_done_callback`) runs with the values of where it was registered, and a call on a thread
/// (`to_thread`, `offload`, `run_in_executor`, `submit`) with those of where it was made; what these
/// change is theirs. A call in another process sees the initial values, but of variables that are made
/// with `carried_to_processes` those of where it was made. Outside tasks each thread has values of its own.
///
///   siding::ContextVar<std::string> request_id{"request_id"};  // at namespace scope
///
/// Thread safety: safe.
/// Source: Python's `contextvars`.
template <class T>
class ContextVar {
 public:
  using value_type = T;

  /// `name` is for reports; `initial` is the value where none was set.
  explicit ContextVar(std::string_view name, T initial = {})
      : id_(detail::next_variable()), name_(name), initial_(std::move(initial)) {}
  /// As well, and calls in other processes see the value too: it is copied there with each call, where it
  /// is another than the initial one. Only at namespace scope: a worker knows the variables that exist
  /// before main().
  /// Throws: std::invalid_argument if another variable that is carried has this name.
  ContextVar(std::string_view name, T initial, CarriedToProcesses)
    requires Portable<T>
      : ContextVar(name, std::move(initial)) {
    carried_ = std::make_unique<detail::CarriedRegistration>(detail::carried_variable<T>(id_, name_));
  }
  ContextVar(const ContextVar&) = delete;
  ContextVar& operator=(const ContextVar&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// By value: a reference would dangle at the next `set`.
  [[nodiscard]] T get() const {
    const detail::Variables::Value found = detail::current_variables().find(id_);
    return found != nullptr ? *static_cast<const T*>(found.get()) : initial_;
  }

  /// From here on, in this task, callback, call or thread. Throws std::bad_alloc, and what copying
  /// throws.
  void set(T value) {
    detail::current_variables().set(id_, std::make_shared<const T>(std::move(value)));
  }

  /// The time in which a variable has another value.
  class [[nodiscard("the old value returns when this is destroyed")]] Scope {
   public:
    Scope(Scope&&) = delete;
    Scope& operator=(Scope&&) = delete;
    ~Scope() {
      // A frame that is destroyed with its loop is destroyed outside its task.
      if (&detail::current_variables() != place_) return;
      try {
        place_->set(variable_, std::move(old_));
      } catch (...) {  // no memory: the value stays
      }
    }

   private:
    friend ContextVar;
    Scope(std::uint64_t variable, T value)
        : variable_(variable),
          place_(&detail::current_variables()),
          old_(place_->find(variable)) {
      place_->set(variable, std::make_shared<const T>(std::move(value)));
    }

    const std::uint64_t variable_;
    detail::Variables* const place_;
    detail::Variables::Value old_;
  };

  /// Sets the value until the returned scope is destroyed: `const auto scope = var.bind(7);`
  Scope bind(T value) { return Scope(id_, std::move(value)); }

 private:
  const std::uint64_t id_;
  const std::string name_;
  const T initial_;
  std::unique_ptr<detail::CarriedRegistration> carried_;  // null: not carried
};

}  // namespace siding
