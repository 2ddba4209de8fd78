// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/task_context.hpp>
#include <siding/detail/timer_heap.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/time.hpp>

#include <coroutine>
#include <cstddef>
#include <optional>
#include <vector>

namespace siding::detail {

struct WaitBlock;

/// Awaits several futures at once: what `wait`, `gather` and `race` are made of. It looks at no
/// values.
///
/// The waiters are linked into the futures' states from a block on the heap, which is counted: the
/// await may end while a completion of another thread is on its way to one of them.
class SIDING_EXPORT MultiWait final : public TimerNode, public Suspension {
 public:
  enum class Until : unsigned char {
    all,            // every future is done
    first,          // one is done
    first_error,    // one has failed; cancelled does not count
    first_failure,  // one has failed or was cancelled
    first_value,    // one has a value, or all are done
  };
  enum class OnCancelled : unsigned char {
    detach,      // the await ends, the futures go on
    cancel_all,  // all are cancelled, and the await ends when they have ended
  };

  /// The futures may repeat; must not be empty.
  MultiWait(std::vector<AnyFuture> futures, Until until, OnCancelled on_cancelled,
            Limit timeout = {});
  ~MultiWait();

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    return start();
  }
  /// Which future was the first to fail, or to have a value, where that was waited for.
  std::optional<std::size_t> await_resume() {
    if (cancelled_) context_->throw_cancelled();
    return decisive_;
  }

  void due(Scheduler& scheduler) noexcept override;
  void run() noexcept override;
  void refuse() noexcept override { queued_ = false; }
  bool cancel() noexcept override;
  bool give_up() noexcept override;
  void describe(FixedText& text) const noexcept override;

 private:
  friend struct WaitBlock;

  bool start();
  bool decides(const AnyFuture& future) const noexcept;
  bool note(std::size_t index) noexcept;
  void wake() noexcept;
  void detach() noexcept;

  WaitBlock* block_;
  Limit timeout_;
  std::optional<std::size_t> decisive_;
  Until until_;
  const OnCancelled on_cancelled_;
  bool queued_ = false;  // in the ready queue
};

}  // namespace siding::detail
