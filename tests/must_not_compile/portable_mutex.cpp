// SPDX-License-Identifier: MIT
// SE-002
// expect: cannot cross to another process
// expect: a_class_without_siding_fields
// expect: mutex
#include <siding/wire.hpp>

#include <mutex>
#include <string>

#ifdef SIDING_GOOD
using Kept = std::string;
#else
using Kept = std::mutex;
#endif
static_assert(siding::detail::require_portable_argument<Kept>);
