// SPDX-License-Identifier: MIT
#include <siding/error.hpp>

// One out-of-line virtual each: their type information lives here, once.

namespace siding {

TimeoutError::~TimeoutError() = default;
ShutdownError::~ShutdownError() = default;
BrokenExecutor::~BrokenExecutor() = default;
LoopClosed::~LoopClosed() = default;
Interrupted::~Interrupted() = default;
BrokenPromise::~BrokenPromise() = default;
InvalidStateError::~InvalidStateError() = default;
NoRunningLoop::~NoRunningLoop() = default;
WouldBlockLoop::~WouldBlockLoop() = default;

}  // namespace siding
