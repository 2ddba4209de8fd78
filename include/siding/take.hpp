// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/bound_call.hpp>

#include <type_traits>

namespace siding {

/// Moves a named object into a call: `co_await to_thread(take(closure), 3)`.
///
/// The same as `std::move`, but it binds to names only, so it cannot hold a temporary: the form that
/// is safe in a `co_await` expression on g++ before 12.3.
/// Lifetime: the object is moved from at the call.
template <class T>
  requires(!std::is_const_v<T>)
detail::Taken<T> take(T& named) noexcept {
  return detail::Taken<T>(named);
}

}  // namespace siding
