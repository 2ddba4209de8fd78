// SPDX-License-Identifier: MIT
#pragma once

// Everything that siding offers. Each header can also be included alone.

#include <siding/awaitable.hpp>
#include <siding/barrier.hpp>
#include <siding/call_options.hpp>
#include <siding/cancellation.hpp>
#include <siding/context_var.hpp>
#include <siding/condition.hpp>
#include <siding/create_task.hpp>
#include <siding/error.hpp>
#include <siding/error_report.hpp>
#include <siding/event.hpp>
#include <siding/event_loop.hpp>
#include <siding/exception_group.hpp>
#include <siding/executor.hpp>
#include <siding/future.hpp>
#include <siding/gather.hpp>
#include <siding/io_uring_unavailable.hpp>
#include <siding/job.hpp>
#include <siding/log.hpp>
#include <siding/next_signal.hpp>
#include <siding/mutex.hpp>
#include <siding/offload.hpp>
#include <siding/outcome.hpp>
#include <siding/process_pool.hpp>
#include <siding/promise.hpp>
#include <siding/register_error.hpp>
#include <siding/run_in_executor.hpp>
#include <siding/runner.hpp>
#include <siding/shield.hpp>
#include <siding/semaphore.hpp>
#include <siding/sleep.hpp>
#include <siding/take.hpp>
#include <siding/task.hpp>
#include <siding/task_group.hpp>
#include <siding/thread_pool.hpp>
#include <siding/time.hpp>
#include <siding/timeout.hpp>
#include <siding/to_process.hpp>
#include <siding/to_thread.hpp>
#include <siding/version.hpp>
#include <siding/wait.hpp>
#include <siding/wait_for.hpp>
#include <siding/wire.hpp>
#include <siding/with_cleanup.hpp>
