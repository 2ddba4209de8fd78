// SPDX-License-Identifier: MIT
#pragma once

#include <siding/executor.hpp>
#include <siding/future.hpp>
#include <siding/process_pool.hpp>
#include <siding/runner.hpp>
#include <siding/task.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <tuple>
#include <type_traits>

#include "leak_guard.hpp"
#include "limits.hpp"

// What the executor contract is tested on: a factory, which says how one is made and what it is.
//
//   struct ThreadPools {
//     static std::unique_ptr<siding::Executor> make(int workers);
//     static constexpr bool queues = true;      // calls wait for a worker; else submit() runs them
//     static constexpr bool parallel = true;    // has as many workers as were asked for
//     static constexpr bool withdraws = true;   // gives a queued job back
//     static constexpr bool in_process = true;  // calls see the memory of the test
//   };
//
// A call that may run in another process is a free function, or a lambda without captures, and gets
// values. What happens there is told by a Gate.

namespace siding_test {

template <class F>
struct Queues : std::bool_constant<F::queues> {};
template <class F>
struct IsParallel : std::bool_constant<F::queues && F::parallel> {};
template <class F>
struct IsInProcess : std::bool_constant<F::in_process> {};
template <class F>
struct QueuesInProcess : std::bool_constant<F::queues && F::in_process> {};

/// The factories of the tuple that have a trait.
template <template <class> class Trait, class Factories>
struct Filtered;
template <template <class> class Trait, class... F>
struct Filtered<Trait, std::tuple<F...>> {
  using type = decltype(std::tuple_cat(
      std::conditional_t<Trait<F>::value, std::tuple<F>, std::tuple<>>()...));
};
template <template <class> class Trait, class Factories>
using filtered_t = typename Filtered<Trait, Factories>::type;

/// Has the library make what the process keeps for good, so that it is not taken for a leak: the
/// descriptors of the first run() and of the first process pool.
struct KeptForGood {
  KeptForGood() {
    static const bool made = make();
    static_cast<void>(made);
  }

 private:
  static bool make() {
    siding::run([]() -> siding::Task<> { co_return; });
    siding::ProcessPool pool{{.max_workers = 1}};
    pool.submit([](int n) { return n; }, 1).get();
    return true;
  }
};

/// The factory of the case that runs. What is written for a factory `F` is compiled for this one
/// only, and not once more for each: that took a tenth of the time to build all tests.
struct AnyFactory {
  static inline std::unique_ptr<siding::Executor> (*make)(int workers) = nullptr;
  static inline bool queues = false;
  static inline bool parallel = false;
  static inline bool withdraws = false;
  static inline bool in_process = false;
  static inline bool names_calls = false;

  template <class F>
  static void stand_for() {
    make = &F::make;
    queues = F::queues;
    parallel = F::parallel;
    withdraws = F::withdraws;
    in_process = F::in_process;
    names_calls = F::names_calls;
  }
};

/// An executor under test. Nothing of it is left when it ends.
template <class F>
class Subject : KeptForGood {
 public:
  explicit Subject(int workers) : executor_(F::make(workers)) {}
  siding::Executor& operator*() const { return *executor_; }
  siding::Executor* operator->() const { return executor_.get(); }

 private:
  LeakGuard guard_;
  std::unique_ptr<siding::Executor> executor_;
};

/// The value of a future that must be done soon.
template <class T>
T value_of(const siding::Future<T>& future) {
  return future.get(hang_limit);
}

}  // namespace siding_test

/// TEST_CASE_TEMPLATE_DEFINE for a case of the contract. What `F` says is known when it runs.
#define CONTRACT_TEST_CASE_DEFINE(sentence, F, name)        \
  template <class F>                                        \
  void name##_body();                                       \
  TEST_CASE_TEMPLATE_DEFINE(sentence, TheirFactory, name) { \
    AnyFactory::stand_for<TheirFactory>();                  \
    name##_body<AnyFactory>();                              \
  }                                                         \
  template <class F>                                        \
  void name##_body()
