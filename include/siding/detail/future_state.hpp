// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/fixed_text.hpp>
#include <siding/detail/inbox.hpp>
#include <siding/detail/node.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/recycler.hpp>
#include <siding/export.hpp>
#include <siding/time.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace siding {

/// How a future is cancelled.
struct CancelOptions {
  std::string_view reason{};  ///< kept in the `Cancelled` that is thrown; copied at the call
};

namespace detail {

struct JobNode;
struct Scheduler;

/// One who waits for a future: a suspended coroutine, a blocked thread, a callback. Linked into the
/// state without allocation.
struct SIDING_EXPORT FutureWaiter : Node {
  /// Where `run` is called: on the loop behind this inbox, or, if null, in the thread that
  /// completes.
  Inbox* home = nullptr;
  FutureWaiter* previous = nullptr;  // guarded by the state's lock bit, like `following`
  FutureWaiter* following = nullptr;
  bool linked = false;  // guarded by the state's lock bit

  /// Tells callbacks from other waiters: their id, or 0.
  virtual std::uint64_t callback_id() const noexcept { return 0; }

 protected:
  ~FutureWaiter() = default;
};

/// What stands behind every `Future`: reference count, outcome, and who waits for it. Thread-safe.
///
/// All of it turns on one 64-bit word: the count of references in the high half, below it
///   done      the outcome is stored and will not change
///   locked    somebody links or unlinks a waiter
///   waited    somebody is linked
/// The producer holds one reference until it has completed the state. Completing without waiters is
/// one compare-and-swap, which publishes the outcome and drops the producer's reference; if nobody
/// else holds one, it needs no locked operation at all.
class SIDING_EXPORT FutureState : public Recycled {
 public:
  enum class Outcome : std::uint8_t { pending, value, error, cancelled };
  enum class Origin : std::uint8_t { task, loop_call, call, promise };

  FutureState(const FutureState&) = delete;
  FutureState& operator=(const FutureState&) = delete;

  void retain() noexcept { word_.fetch_add(one_reference, std::memory_order_relaxed); }
  void release() noexcept {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    if (word >> 32 != 1) {
      // release: what this owner did to the state happens before its destruction by the last.
      word = word_.fetch_sub(one_reference, std::memory_order_acq_rel);
      if (word >> 32 != 1) return;
    }
    last_reference_gone();
  }
  std::uint32_t references() const noexcept {
    return static_cast<std::uint32_t>(word_.load(std::memory_order_acquire) >> 32);
  }

  /// acquire: pairs with the release of complete(); the outcome is visible after true.
  bool done() const noexcept { return (word_.load(std::memory_order_acquire) & done_bit) != 0; }
  Origin origin() const noexcept { return origin_; }

  // The rest of the outcome is for whoever has seen done().
  Outcome outcome() const noexcept { return outcome_; }
  /// The error or the cancellation as an exception; null for a value. Counts as having read it.
  std::exception_ptr error();
  /// Throws unless there is a value.
  void check_value() {
    if (outcome_ != Outcome::value) [[unlikely]] throw_error();
  }
  /// The name of the error's type. Does not count as having read it.
  std::string error_type() const;
  void mark_read() noexcept { read_.store(true, std::memory_order_relaxed); }

  /// Links `waiter`; false if the state is done.
  bool add_waiter(FutureWaiter& waiter) noexcept;
  /// Unlinks it; false if it is not linked any more: it has run, or is on its way.
  bool remove_waiter(FutureWaiter& waiter) noexcept;

  /// Unlinks the callback with this id and returns it; null if it is not linked.
  FutureWaiter* remove_callback(std::uint64_t id) noexcept;

  /// Pushes `node` into the loop's inbox unless the state is done. For a task's state and its own
  /// loop, which ends every task before it goes, and cannot do so while the lock bit is held.
  bool push_if_pending(Scheduler& scheduler, Node& node) noexcept;

  /// Blocks a plain thread until done, or until the limit has passed: then throws TimeoutError. On
  /// the thread of a running loop throws WouldBlockLoop.
  void wait_blocking(Limit limit);

  /// As `AnyFuture::cancel`; any thread.
  virtual bool cancel(const CancelOptions& options) = 0;
  virtual bool running() const noexcept { return false; }
  virtual bool request_stop() noexcept { return false; }
  virtual int cancelling() const noexcept { return 0; }
  virtual int uncancel() noexcept { return 0; }
  /// The type of the value, for reports.
  virtual const std::type_info& value_type() const noexcept = 0;
  /// The call of an executor behind it; null for all others.
  virtual JobNode* job() noexcept { return nullptr; }

  /// "task 'fetch'", "call 'resize' (queued)" and the like. In a signal handler too: it gives no
  /// name to what has none.
  void describe(FixedText& text) noexcept;

  std::string name();
  void set_name(std::string_view name);
  std::string cancel_reason();
  void set_cancel_reason(std::string_view reason);

  // For a task's state, on its loop's thread.
  /// The token that stands for the next request, or, if `requested`, for one that was made already.
  std::stop_token stop_token(bool requested);
  /// relaxed: what the loop's thread made itself.
  bool may_have_stop_token() const noexcept {
    return extras_.load(std::memory_order_relaxed) != nullptr;
  }
  /// Callbacks of users run in here.
  void trip_stop_token() noexcept;

 protected:
  static constexpr std::uint64_t done_bit = 1;
  static constexpr std::uint64_t locked_bit = 2;
  static constexpr std::uint64_t waited_bit = 4;
  static constexpr std::uint64_t flag_bits = 7;
  static constexpr std::uint64_t one_reference = std::uint64_t{1} << 32;

  /// `references`: one for the producer, and one for each handle that is about to be made.
  FutureState(Origin origin, std::uint32_t references) noexcept
      : word_(references * one_reference), origin_(origin) {}
  virtual ~FutureState();

  /// The producer's last step, exactly once: the value, if there is one, is in place. With
  /// `drop_reference` the state may be gone on return.
  void complete(Outcome outcome, bool drop_reference) noexcept {
    outcome_ = outcome;
    // acquire: what former holders did to the state happens before its destruction below.
    std::uint64_t word = word_.load(std::memory_order_acquire);
    // Alone: no handle is left and no waiter, so nobody can look any more, and nobody can come.
    if ((word & (locked_bit | waited_bit)) == 0 && (word != one_reference || !drop_reference)) {
      const std::uint64_t dropped = drop_reference ? one_reference : 0;
      // release: publishes the outcome to whoever reads done.
      if (word_.compare_exchange_strong(word, (word | done_bit) - dropped,
                                        std::memory_order_acq_rel, std::memory_order_relaxed))
          [[likely]] {
        if (((word - dropped) >> 32) == 0) [[unlikely]] last_reference_gone();
        return;
      }
    }
    complete_slow(drop_reference);
  }
  /// The same with an error, or with the exception of a cancellation; null is allowed.
  void complete(Outcome outcome, std::exception_ptr error, bool drop_reference) noexcept {
    error_ = std::move(error);
    complete(outcome, drop_reference);
  }

  /// The loop that is told of an error that nobody reads; null: the one of the thread where that
  /// shows, or else the log.
  virtual std::shared_ptr<Inbox> home() const noexcept { return nullptr; }
  /// Hands over such an error.
  void report(std::exception_ptr error, std::string_view message) noexcept;

 private:
  struct Extras;  // what few futures have, made when first needed

  void last_reference_gone() noexcept;
  void report_unread() noexcept;
  [[noreturn]] void throw_error();
  std::uint64_t lock() noexcept;
  void unlock(std::uint64_t flags_now, std::uint64_t flags_then) noexcept;
  void unlink(FutureWaiter& waiter, std::uint64_t flags) noexcept;
  void complete_slow(bool drop_reference) noexcept;
  Extras& extras();

  std::atomic<std::uint64_t> word_;
  FutureWaiter* waiters_ = nullptr;  // circular, the oldest first; guarded by the lock bit
  std::exception_ptr error_;         // written before done, read after
  std::atomic<Extras*> extras_{nullptr};
  Outcome outcome_ = Outcome::pending;  // written before done, read after
  const Origin origin_;
  std::atomic<bool> read_{false};  // somebody looked at the outcome
};

[[noreturn]] SIDING_EXPORT void throw_value_taken();
/// Whether `error` holds a `Cancelled`; looks at the type without throwing it.
SIDING_EXPORT bool is_cancelled(const std::exception_ptr& error) noexcept;

/// A state with room for its value.
template <class T>
class ValueState : public FutureState {
 public:
  const std::type_info& value_type() const noexcept override { return typeid(T); }

  /// For who has seen done() and check_value().
  stored_cref_t<T> view() {
    mark_read();
    check_value();
    if constexpr (std::is_reference_v<T>) {
      return *value_;
    } else if constexpr (!std::is_void_v<T>) {
      check_not_taken();
      return value_;
    }
  }

  /// The value for an rvalue handle: moved out if nobody but the reader holds a reference, or if it
  /// cannot be copied; else copied. `own`: how many references the reader holds.
  T take(std::uint32_t own = 1) {
    mark_read();
    check_value();
    if constexpr (std::is_reference_v<T>) {
      return *value_;
    } else if constexpr (!std::is_void_v<T>) {
      const bool alone = references() <= own;  // then what a former handle took is visible
      check_not_taken();
      if (alone) {
        taken_.store(true, std::memory_order_relaxed);
      } else if constexpr (std::copy_constructible<T>) {
        return value_;
      } else if (taken_.exchange(true, std::memory_order_relaxed)) {
        throw_value_taken();  // another handle was faster
      }
      return std::move(value_);
    }
  }

 protected:
  ValueState(Origin origin, std::uint32_t references) noexcept : FutureState(origin, references) {}
  ~ValueState() override {
    if (made_) std::destroy_at(std::addressof(value_));
  }

  template <class... Args>
  void emplace(Args&&... args) {
    std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
    made_ = true;
  }
  template <class Make>
  void emplace_from(Make&& make) {
    ::new (static_cast<void*>(std::addressof(value_))) stored_t<T>(std::forward<Make>(make)());
    made_ = true;
  }
  void unmake() noexcept {
    std::destroy_at(std::addressof(value_));
    made_ = false;
  }

 private:
  void check_not_taken() const;

  union {
    stored_t<T> value_;
  };
  bool made_ = false;
  std::atomic<bool> taken_{false};  // moved out for one handle: gone for all
};

template <class T>
void ValueState<T>::check_not_taken() const {
  if (taken_.load(std::memory_order_relaxed)) throw_value_taken();
}

}  // namespace detail
}  // namespace siding
