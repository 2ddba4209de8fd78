// SPDX-License-Identifier: MIT
// How the Asio programs offload a call: the fastest honest form that Asio 1.22 allows.
//
// The function runs on the pool, then the coroutine is resumed on the io_context: two real hops.
// Tried beside it: `co_await co_spawn(pool, ...)`, and moving the coroutine itself with
// `co_await post(bind_executor(pool, use_awaitable))` and back. Four runs beside a build: in W1 no
// difference beyond the noise, in W2 2.8 to 3.6 M calls/s against 1.3 and 2.1. (The plain
// `co_await post(pool, use_awaitable)` would not run the function on the pool at all.) Naming the
// executor's type in `awaitable` instead of the default any_io_executor gave a fifth more in W2.
#pragma once

#include <asio.hpp>

#include <cstdint>
#include <string>
#include <utility>

#include "bench.hpp"

namespace bench {

using AsioLoop = asio::io_context::executor_type;
template <class T>
using AsioAwaitable = asio::awaitable<T, AsioLoop>;
inline constexpr asio::use_awaitable_t<AsioLoop> asio_awaits{};

// Awaitable of trivial_call(argument), called by the pool.
inline auto asio_offload(asio::thread_pool& pool, AsioLoop loop, std::int64_t argument) {
  return asio::async_initiate<const asio::use_awaitable_t<AsioLoop>, void(std::int64_t)>(
      [&pool, loop, argument](auto handler) {
        asio::post(pool, [loop, argument, handler = std::move(handler)]() mutable {
          const auto result = trivial_call(argument);
          asio::post(loop, [result, handler = std::move(handler)]() mutable {
            std::move(handler)(result);
          });
        });
      },
      asio_awaits);
}

inline std::string asio_version() {
  return std::to_string(ASIO_VERSION / 100000) + '.' + std::to_string(ASIO_VERSION / 100 % 1000) +
         '.' + std::to_string(ASIO_VERSION % 100);
}

}  // namespace bench
