// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

namespace siding::detail {

/// How a `T` is kept: references as pointers, `void` as an empty value.
template <class T>
struct Stored {
  using type = T;
};
template <>
struct Stored<void> {
  using type = std::monostate;
};
template <class T>
struct Stored<T&> {
  using type = T*;
};
template <class T>
using stored_t = typename Stored<T>::type;

/// How a kept `T` is looked at: `const T&`, `T&` or `void`.
template <class T>
struct StoredView {
  using type = const T&;
};
template <>
struct StoredView<void> {
  using type = void;
};
template <class T>
struct StoredView<T&> {
  using type = T&;
};
template <class T>
using stored_cref_t = typename StoredView<T>::type;

/// Whether a coroutine's frame has a `T` where it belongs: the compilers make frames with the
/// alignment of plain `operator new`, whatever they hold (measured: g++ 12.2 and clang 19).
template <class T>
inline constexpr bool fits_in_frame = alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;

/// A value, an error, or nothing yet.
template <class T>
class Result {
 public:
  Result() noexcept {
    static_assert(fits_in_frame<stored_t<T>>,
                  "a result that is aligned more strictly than operator new cannot be kept in a "
                  "coroutine's frame, where compilers would misplace it: return it in a "
                  "std::unique_ptr, or use run_in_executor(), whose Future keeps it on the heap");
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  ~Result() {
    if (state_ == State::value) std::destroy_at(std::addressof(value_));
    if (state_ == State::error) std::destroy_at(std::addressof(error_));
  }

  template <class... Args>
  void set_value(Args&&... args) {
    std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
    state_ = State::value;
  }
  /// Makes the value from what `make()` returns, in place.
  template <class Make>
  void set_value_from(Make&& make) {
    ::new (static_cast<void*>(std::addressof(value_))) stored_t<T>(std::forward<Make>(make)());
    state_ = State::value;
  }
  void set_error(std::exception_ptr error) noexcept {
    std::construct_at(std::addressof(error_), std::move(error));
    state_ = State::error;
  }

  bool has_value() const noexcept { return state_ == State::value; }
  bool has_error() const noexcept { return state_ == State::error; }
  std::exception_ptr& error() noexcept { return error_; }
  stored_t<T>& value() noexcept { return value_; }

  /// The value, moved out, or the error, thrown.
  T take() {
    if (state_ == State::error) std::rethrow_exception(std::move(error_));
    if constexpr (std::is_reference_v<T>) {
      return *value_;
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(value_);
    }
  }

 private:
  enum class State : unsigned char { empty, value, error };
  union {
    stored_t<T> value_;
    std::exception_ptr error_;
  };
  State state_ = State::empty;
};

}  // namespace siding::detail
