// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

namespace siding {
template <class T>
class Task;
}

namespace siding::detail {

template <class T>
inline constexpr bool is_task_v = false;
template <class T>
inline constexpr bool is_task_v<Task<T>> = true;
template <class T>
concept is_task = is_task_v<std::remove_cvref_t<T>>;

}  // namespace siding::detail
