// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/completions.hpp>
#include <siding/detail/future_kinds.hpp>
#include <siding/detail/task_context.hpp>
#include <siding/detail/timer_heap.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/time.hpp>

#include <coroutine>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

namespace siding {

namespace detail {

/// The futures of an `as_completed`: what its steps share. The part that does not depend on their
/// type.
class SIDING_EXPORT CompletionSteps {
 public:
  CompletionSteps(std::size_t futures, Limit timeout);

  Completions& completions() noexcept { return completions_; }
  std::optional<TimePoint> until() const noexcept { return until_; }
  /// Blocks a plain thread. Throws TimeoutError; WouldBlockLoop.
  std::size_t next_place();

 private:
  const std::optional<TimePoint> until_;
  Completions completions_;
};

[[noreturn]] SIDING_EXPORT void throw_step_taken();
[[noreturn]] SIDING_EXPORT void throw_steps_late();

/// `co_await step`: the part that does not depend on the type of the future.
class SIDING_EXPORT StepAwaiterBase : public TimerNode, public Suspension {
 public:
  bool await_ready() noexcept {
    place_ = steps_.completions().pop();
    return place_.has_value();
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle, Place where = Place::current()) {
    suspend(handle, where);
    return start();
  }

  void due(Scheduler& scheduler) noexcept override;
  void run() noexcept override;
  void refuse() noexcept override;
  bool cancel() noexcept override;
  void describe(FixedText& text) const noexcept override;

 protected:
  explicit StepAwaiterBase(CompletionSteps& steps) noexcept : steps_(steps) {}
  ~StepAwaiterBase() = default;
  /// For the destructor, while the steps are there.
  void leave() noexcept;
  std::size_t finish();

 private:
  bool start();
  bool ask();
  void count_out() noexcept;

  CompletionSteps& steps_;
  std::optional<std::size_t> place_;
  bool late_ = false;
  bool on_the_way_ = false;  // to be posted, or in a queue: `run` or `refuse` is still to come
  bool counted_ = false;     // in Scheduler::offloaded
};

template <class F>
struct TypedSteps {
  TypedSteps(std::vector<F> given, Limit timeout)
      : futures(std::move(given)), steps(futures.size(), timeout) {
    for (std::size_t i = 0; i < futures.size(); ++i) {
      steps.completions().watch(*FutureAccess::state(futures[i]), i);
    }
  }
  /// A handle that was given is not kept.
  F take(std::size_t place) noexcept { return std::move(futures[place]); }

  std::vector<F> futures;
  CompletionSteps steps;  // after the futures, which it looks at
};

template <class F>
class StepAwaiter final : public StepAwaiterBase {
 public:
  explicit StepAwaiter(std::shared_ptr<TypedSteps<F>> steps) noexcept
      : StepAwaiterBase(steps->steps), typed_(std::move(steps)) {}
  ~StepAwaiter() { leave(); }
  F await_resume() { return typed_->take(finish()); }

 private:
  std::shared_ptr<TypedSteps<F>> typed_;
};

}  // namespace detail

/// What `as_completed` returns: a range of steps, as many as there are futures.
///
/// Thread safety: distinct objects: safe. Shared objects, and the steps of one: unsafe; they are
/// taken one after the other, on loops or on plain threads.
template <class F>
class [[nodiscard("nothing happens until its steps are awaited, or got on a plain thread")]]
AsCompleted {
 public:
  /// Gives the next future that is done. One-shot.
  class [[nodiscard("await it, or get() it on a plain thread")]] Next {
   public:
    using value_type = F;

    /// Throws: TimeoutError; Cancelled; InvalidStateError if this step was taken before, or while
    ///   another task waits for a step.
    /// Cancellation: ends the wait; the futures go on.
    detail::StepAwaiter<F> operator co_await() { return detail::StepAwaiter<F>(use()); }

    /// The same, but blocks the calling thread, which runs no loop.
    /// Throws: as above, without Cancelled; WouldBlockLoop on the thread of a running loop, unless
    ///   there is nothing to wait for.
    F get() {
      const std::shared_ptr<detail::TypedSteps<F>> steps = use();
      return steps->take(steps->steps.next_place());
    }

    explicit Next(std::shared_ptr<detail::TypedSteps<F>> steps) noexcept
        : steps_(std::move(steps)) {}

   private:
    std::shared_ptr<detail::TypedSteps<F>> use() {
      if (steps_ == nullptr) detail::throw_step_taken();
      return std::exchange(steps_, nullptr);
    }
    std::shared_ptr<detail::TypedSteps<F>> steps_;
  };

  class iterator {
   public:
    using value_type = Next;
    using difference_type = std::ptrdiff_t;
    using reference = Next;

    iterator() = default;
    Next operator*() const { return Next(owner_->steps_); }
    iterator& operator++() noexcept {
      --left_;
      return *this;
    }
    void operator++(int) noexcept { --left_; }
    bool operator==(const iterator& other) const noexcept { return left_ == other.left_; }

   private:
    friend AsCompleted;
    iterator(const AsCompleted* owner, std::size_t left) noexcept : owner_(owner), left_(left) {}
    const AsCompleted* owner_ = nullptr;
    std::size_t left_ = 0;
  };

  AsCompleted(std::vector<F> futures, Limit timeout) {
    for (const F& future : futures) {
      if (!future.valid()) detail::throw_no_future();
    }
    std::unordered_set<AnyFuture> seen;
    std::erase_if(futures, [&seen](const F& future) { return !seen.insert(future).second; });
    size_ = futures.size();
    steps_ = std::make_shared<detail::TypedSteps<F>>(std::move(futures), timeout);
  }

  iterator begin() const noexcept { return iterator(this, size_); }
  iterator end() const noexcept { return iterator(this, 0); }
  /// Steps: futures that are given twice count once.
  std::size_t size() const noexcept { return size_; }

 private:
  std::shared_ptr<detail::TypedSteps<F>> steps_;
  std::size_t size_ = 0;
};

/// Gives several futures in the order in which they are done.
///
///     for (auto next : as_completed(futures)) {
///       auto future = co_await next;   // or next.get() on a plain thread
///       ...
///     }
///
/// Those that are done at the call come first, in the order given. A future that was given to the
/// caller is not kept; errors stay in the futures.
///
/// Parameters:
///   futures  a range of futures, or the futures one by one (of different types they come as
///            `AnyFuture`). Repeated ones count once. Copied at the call; there may be none.
///   timeout  for all steps, counted from the call; none by default.
/// Returns: a range of steps. Each gives a handle that equals the one that was given.
/// Throws: at the call InvalidStateError if a future is empty. TimeoutError from each step that is
///   late; what is done is given also after that. Nothing is cancelled by it.
/// Thread safety: any thread; a step is awaited on a loop's thread and got on any other.
/// Complexity: notes are taken in the threads that complete; a step without waiting takes a lock.
/// See: asyncio's and concurrent.futures' functions of the same name.
template <detail::future_range R>
AsCompleted<detail::range_future_t<R>> as_completed(R&& futures, Limit timeout = {}) {
  std::vector<detail::range_future_t<R>> handles;
  for (auto&& future : futures) handles.push_back(future);
  return {std::move(handles), timeout};
}
template <detail::future_like... F>
  requires(sizeof...(F) > 0)
AsCompleted<detail::common_future_t<F...>> as_completed(const F&... futures) {
  std::vector<detail::common_future_t<F...>> handles;
  (handles.push_back(futures), ...);
  return {std::move(handles), Limit()};
}

}  // namespace siding
