// SPDX-License-Identifier: MIT
#pragma once

#include "file_descriptor.hpp"
#include "line_relay.hpp"

#include <siding/process_pool_options.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>

namespace siding::detail {

/// Between a worker's calls stands a mark in what it prints, so that each line is known to belong to one
/// of them: a magic number of eight bytes, which the program chooses by chance for each worker, and the
/// number of the call that begins; 0: that of the last one has ended.
inline constexpr std::size_t output_mark_size = 16;
using OutputMark = std::array<char, output_mark_size>;
OutputMark make_output_mark(std::uint64_t magic, std::uint64_t call) noexcept;
std::uint64_t random_output_magic() noexcept;

/// What a worker prints, on its way through the program. The manager's, except where said.
class WorkerOutput {
 public:
  using Callback = std::function<void(const OutputLine&)>;

  /// Makes the pipes. `callback` outlives this; empty: to standard output and error. So does `said_pid`,
  /// which counts until set_pid(). Throws std::system_error.
  WorkerOutput(const Callback& callback, const std::atomic<std::int32_t>& said_pid);

  /// The worker's ends, in the order of the numbers 1 and 2; the program keeps none.
  std::array<FileDescriptor, 2> theirs;
  std::uint64_t magic() const noexcept { return magic_; }
  void set_pid(pid_t pid) noexcept { pid_ = pid; }

  /// Any thread: what the call is called. Throws std::bad_alloc.
  void name(std::uint64_t call, std::string text);
  /// Any thread: the call was taken back.
  void forget(std::uint64_t call) noexcept;

  /// To be polled; negative when the worker has closed it.
  int descriptor(std::size_t stream) const noexcept { return streams_[stream].pipe.get(); }
  /// Gives what there is to the callback.
  void read(std::size_t stream) noexcept;
  /// The worker is dead: all that is left.
  void finish() noexcept;
  /// The last lines on standard error.
  std::string tail() const { return streams_[1].lines.tail(); }

 private:
  struct Stream {
    explicit Stream(std::function<void(std::string_view)> sink) : lines(std::move(sink)) {}

    FileDescriptor pipe;
    LineRelay lines;
    std::string held;  // may be the beginning of a mark
    std::string call;  // its name
    std::uint64_t ended = 0;  // calls
  };

  void take(Stream& stream, std::string_view bytes);
  void give(bool is_error, const Stream& stream, std::string_view text) noexcept;
  void begin(Stream& stream, std::uint64_t call);

  const Callback& callback_;
  const std::atomic<std::int32_t>& said_pid_;
  const std::uint64_t magic_;
  pid_t pid() const noexcept {
    return pid_ >= 0 ? pid_ : said_pid_.load(std::memory_order_relaxed);
  }

  pid_t pid_ = -1;
  std::array<Stream, 2> streams_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::string> names_;  // guarded by mutex_; of calls that may still print
  std::uint64_t ended_ = 0;                     // on both streams
};

}  // namespace siding::detail
