// SPDX-License-Identifier: MIT
#pragma once

#include <siding/cancellation.hpp>
#include <siding/create_task.hpp>
#include <siding/detail/body.hpp>
#include <siding/detail/group_member.hpp>
#include <siding/detail/guard.hpp>
#include <siding/detail/outcome.hpp>
#include <siding/detail/task_op.hpp>
#include <siding/detail/task_state.hpp>
#include <siding/detail/timeout_scope.hpp>
#include <siding/exception_group.hpp>
#include <siding/export.hpp>
#include <siding/future.hpp>
#include <siding/task.hpp>

#include <concepts>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding {

namespace detail {

/// A body of `with_task_group`: takes the group, and is a coroutine or a plain function.
template <class Body>
concept group_body = std::invocable<std::decay_t<Body>&, TaskGroup&>;

template <class Result>
struct GroupResult {
  using type = Result;
};
template <class Result>
  requires is_task<Result>
struct GroupResult<Result> {
  using type = typename Result::value_type;
};
template <class Body>
using group_result_t =
    typename GroupResult<std::invoke_result_t<std::decay_t<Body>&, TaskGroup&>>::type;

/// Waits until a group has no children. A cancellation ends the wait, which is then begun again.
class SIDING_EXPORT GroupJoin final : public Node, public Suspension {
 public:
  explicit GroupJoin(TaskGroup& group) noexcept : group_(group) {}
  ~GroupJoin();

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle,
                     Place where = Place::current()) noexcept {
    suspend(handle, where);
    return start();
  }
  void await_resume() {
    if (cancelled_) context_->throw_cancelled();
  }

  void wake() noexcept;
  void run() noexcept override;
  void refuse() noexcept override { queued_ = false; }
  bool cancel() noexcept override;
  void describe(FixedText& text) const noexcept override;

 private:
  bool start() noexcept;

  TaskGroup& group_;
  bool queued_ = false;
};

template <class Body>
Task<group_result_t<Body>> run_group(Body body);

}  // namespace detail

/// The children of one `with_task_group`. Made by it alone: what is given to a group cannot be
/// forgotten, and does not outlive it.
///
/// Lifetime: ends with its `with_task_group`; keep no pointer to it beyond.
/// Thread safety: loop thread.
class SIDING_EXPORT TaskGroup {
 public:
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts a child; as `siding::create_task`. Its error, if it fails, is the group's.
  /// Throws: InvalidStateError if the group is ending because of a failure or cancel(), or has ended;
  ///   then the task is destroyed unstarted.
  template <class T>
  Future<T> create_task(Task<T> task, TaskOptions options = {}) {
    const bool eager = options.eager && detail::starts_eagerly(context_.scheduler());
    auto* state = begin<T>(task, 1, eager);
    Future<T> future = detail::FutureAccess::adopt<T>(state);
    detail::begin(*state, options.name, eager);
    return future;
  }
  template <detail::body_of<> Body>
  Started<detail::body_result_t<Body>, detail::guard<Body>> create_task(Body&& body,
                                                                        TaskOptions options = {}) {
    return Started<detail::body_result_t<Body>, detail::guard<Body>>(create_task(
        detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)), options));
  }

  template <Passable A>
    requires(!detail::is_task<A> && !detail::future_like<A> && !detail::body_of<A>)
  Started<await_result_t<A>, detail::guard<A>> create_task(A&& awaitable,
                                                           TaskOptions options = {}) {
    return Started<await_result_t<A>, detail::guard<A>>(create_task(
        detail::run_awaitable<std::decay_t<A>>(std::forward<A>(awaitable)), options));
  }

  /// The same without a future: the cheapest child.
  template <class T>
  void start(Task<T> task, TaskOptions options = {}) {
    const bool eager = options.eager && detail::starts_eagerly(context_.scheduler());
    auto* state = begin<T>(task, 0, eager);
    detail::begin(*state, options.name, eager);
  }
  template <detail::body_of<> Body>
  void start(Body&& body, TaskOptions options = {}) {
    start(detail::run_body<std::decay_t<Body>>(std::forward<Body>(body)), options);
  }
  template <Passable A>
    requires(!detail::is_task<A> && !detail::future_like<A> && !detail::body_of<A>)
  void start(A&& awaitable, TaskOptions options = {}) {
    start(detail::run_awaitable<std::decay_t<A>>(std::forward<A>(awaitable)), options);
  }

  /// Cancels the children and the body. `with_task_group` then ends without an error once they have
  /// ended, unless one of them fails. May be called again.
  void cancel();

 private:
  friend detail::GroupMember;
  friend detail::GroupMember::Rest;
  friend detail::GroupJoin;
  template <class Body>
  friend Task<detail::group_result_t<Body>> detail::run_group(Body body);

  explicit TaskGroup(detail::TaskContext& context) noexcept;
  ~TaskGroup();

  template <class T>
  auto* begin(Task<T>& task, std::uint32_t handles, bool eager) {
    detail::TaskFrame::check_unstarted(task);
    check_open();
    return new detail::TaskState<T, detail::GroupMember>(context_.scheduler(), task, handles, eager,
                                                         *this);
  }

  void check_open() const;
  bool child_ended(detail::GroupMember& member, detail::FutureState::Outcome outcome,
                   const std::exception_ptr& error) noexcept;
  void wake_if_empty() noexcept;
  void cancel_children() noexcept;
  void cancel_body(std::string_view reason) noexcept;
  bool take_error(const std::exception_ptr& error) noexcept;

  void body_ended(std::exception_ptr failure) noexcept;
  bool has_children() const noexcept { return members_ != nullptr || told_ != nullptr; }
  void cancelled_in_join(std::exception_ptr cancelled) noexcept;
  void finish(bool has_value);

  enum class State : unsigned char { body_runs, joining, finished };

  detail::TaskContext& context_;
  const int requests_before_;
  detail::GroupMember* members_ = nullptr;
  detail::GroupMember* told_ = nullptr;  // those that have been cancelled
  std::vector<std::exception_ptr> errors_;
  std::exception_ptr outside_;  // a cancellation that is not the group's own
  detail::GroupJoin* join_ = nullptr;
  State state_ = State::body_runs;
  bool aborting_ = false;
  bool body_asked_ = false;  // to end: a request of ours is counted in the context
};

namespace detail {

template <class Body>
Task<group_result_t<Body>> run_group(Body body) {
  using T = group_result_t<Body>;
  constexpr bool is_coroutine = is_task<std::invoke_result_t<Body&, TaskGroup&>>;
  TaskContext& context = co_await CurrentContext();
  TaskGroup group(context);
  std::optional<stored_t<T>> value;
  std::exception_ptr failure;
  try {
    if constexpr (is_coroutine && std::is_void_v<T>) {
      auto task = body(group);
      co_await std::move(task);
      value.emplace();
    } else if constexpr (is_coroutine && std::is_reference_v<T>) {
      auto task = body(group);
      T result = co_await std::move(task);
      value = std::addressof(result);
    } else if constexpr (is_coroutine) {
      auto task = body(group);
      T result = co_await std::move(task);
      value.emplace(std::move(result));
    } else if constexpr (std::is_void_v<T>) {
      body(group);
      value.emplace();
    } else if constexpr (std::is_reference_v<T>) {
      value = std::addressof(body(group));
    } else {
      value.emplace(body(group));
    }
  } catch (...) {
    failure = std::current_exception();
  }
  group.body_ended(std::move(failure));
  while (group.has_children()) {
    std::exception_ptr cancelled;
    try {
      GroupJoin join(group);
      co_await join;
    } catch (...) {
      cancelled = std::current_exception();
    }
    if (cancelled) group.cancelled_in_join(std::move(cancelled));
  }
  group.finish(std::is_void_v<T> || value.has_value());
  if constexpr (std::is_reference_v<T>) {
    co_return **value;
  } else if constexpr (!std::is_void_v<T>) {
    co_return std::move(*value);
  }
}

}  // namespace detail

/// Runs `body` with a group of tasks, and ends when the body and all tasks of the group have ended:
///
///   co_await with_task_group([&](TaskGroup& group) {
///     group.start(serve(first));
///     group.start(serve(second));
///   });
///
/// The first that fails, child or body, cancels all others; when they have ended, their errors come
/// out together. A child that ends cancelled is no failure.
///
/// Parameters:
///   body  a callable that takes `TaskGroup&`: a coroutine, or a plain function that only starts
///         children. Kept until the end.
/// Returns: what the body returns, such as the futures of the children, which are done then.
/// Throws: ExceptionGroup with the errors of children and body, in the order in which they came;
///   Cancelled if cancelled from outside and nothing failed; InvalidStateError if `cancel()` ended a
///   body that was to give a value.
/// Thread safety: await on a loop's thread.
/// Cancellation: cancels body and children, waits until they have ended, throws Cancelled.
/// Source: asyncio's `TaskGroup`; scopes take a body because C++ has no `async with`.
template <detail::group_body Body>
TaskOp<detail::group_result_t<Body>, detail::guard<Body>> with_task_group(Body&& body) {
  return TaskOp<detail::group_result_t<Body>, detail::guard<Body>>(
      detail::run_group<std::decay_t<Body>>(std::forward<Body>(body)));
}

}  // namespace siding
