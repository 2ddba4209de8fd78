// SPDX-License-Identifier: MIT
#include "pool_output.hpp"

#include <siding/detail/error_report.hpp>
#include <siding/log.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <random>
#include <span>
#include <system_error>

namespace siding::detail {

namespace {

// Chosen: two mebibytes at once, more than a pipe commonly holds.
constexpr int most_reads = 32;

void write_all(int descriptor, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno != EINTR) return;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void print_line(const OutputLine& line) {
  const std::string text = line.call.empty()
                               ? fmt::format("[{}] {}\n", line.pid, line.text)
                               : fmt::format("[{} {}] {}\n", line.pid, line.call, line.text);
  write_all(line.is_error ? STDERR_FILENO : STDOUT_FILENO, text);
}

// The length of the longest end of `bytes` that is a beginning of `mark`.
std::size_t begun_mark(std::string_view bytes, std::string_view mark) noexcept {
  for (std::size_t length = std::min(bytes.size(), mark.size()); length != 0; --length) {
    if (bytes.ends_with(mark.substr(0, length))) return length;
  }
  return 0;
}

}  // namespace

OutputMark make_output_mark(std::uint64_t magic, std::uint64_t call) noexcept {
  OutputMark mark;
  std::memcpy(mark.data(), &magic, sizeof magic);
  std::memcpy(mark.data() + sizeof magic, &call, sizeof call);
  return mark;
}

std::uint64_t random_output_magic() noexcept {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

WorkerOutput::WorkerOutput(const Callback& callback, const std::atomic<std::int32_t>& said_pid)
    : callback_(callback),
      said_pid_(said_pid),
      magic_(random_output_magic()),
      streams_{Stream([this](std::string_view text) { give(false, streams_[0], text); }),
               Stream([this](std::string_view text) { give(true, streams_[1], text); })} {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::system_category(), "a pipe for the output of a worker process");
    }
    streams_[i].pipe = FileDescriptor(ends[0]);
    theirs[i] = FileDescriptor(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);  // the worker's end blocks
  }
}

void WorkerOutput::name(std::uint64_t call, std::string text) {
  const std::lock_guard lock(mutex_);
  names_.emplace(call, std::move(text));
}

void WorkerOutput::forget(std::uint64_t call) noexcept {
  const std::lock_guard lock(mutex_);
  names_.erase(call);
}

void WorkerOutput::read(std::size_t stream) noexcept {
  Stream& from = streams_[stream];
  std::array<char, 65536> buffer;
  // Bounded: a worker that prints for ever must not keep the manager from ending it. Of a dead one there
  // is no more than a pipe holds.
  for (int turn = 0; turn < most_reads; ++turn) {
    const ssize_t size = ::read(from.pipe.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      from.pipe = FileDescriptor();  // every process that had the other end has closed it
      return;
    }
    try {
      take(from, {buffer.data(), static_cast<std::size_t>(size)});
    } catch (const std::exception& error) {
      log(fmt::format("output of worker process {} is lost: {}", pid(), error.what()));
    }
  }
}

void WorkerOutput::finish() noexcept {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i].pipe) read(i);
    streams_[i].pipe = FileDescriptor();
    streams_[i].lines.feed(streams_[i].held);
    streams_[i].held.clear();
    streams_[i].lines.finish();
  }
}

// Marks are taken out; what may be the beginning of one is held back.
void WorkerOutput::take(Stream& stream, std::string_view bytes) {
  std::string joined;
  if (!stream.held.empty()) {
    joined = std::move(stream.held);
    stream.held.clear();
    joined += bytes;
    bytes = joined;
  }
  const OutputMark pattern = make_output_mark(magic_, 0);
  const std::string_view magic(pattern.data(), sizeof magic_);
  for (;;) {
    const std::size_t found = bytes.find(magic);
    if (found == std::string_view::npos) break;
    stream.lines.feed(std::span(bytes.data(), found));
    bytes.remove_prefix(found);
    if (bytes.size() < output_mark_size) {
      stream.held = bytes;
      return;
    }
    std::uint64_t call = 0;
    std::memcpy(&call, bytes.data() + magic.size(), sizeof call);
    begin(stream, call);
    bytes.remove_prefix(output_mark_size);
  }
  const std::size_t held = begun_mark(bytes, magic);
  stream.lines.feed(std::span(bytes.data(), bytes.size() - held));
  stream.held = bytes.substr(bytes.size() - held);
}

// A call begins in the worker; 0: the last one has ended. What it printed without an end of the line is a
// line of its own.
void WorkerOutput::begin(Stream& stream, std::uint64_t call) {
  stream.lines.finish();
  stream.call.clear();
  const std::lock_guard lock(mutex_);
  if (call != 0) {
    const auto found = names_.find(call);
    if (found != names_.end()) stream.call = found->second;
    return;
  }
  // Calls are made in the order of their numbers. One stream may be read further than the other.
  ++stream.ended;
  for (; ended_ < std::min(streams_[0].ended, streams_[1].ended); ++ended_) {
    if (!names_.empty()) names_.erase(names_.begin());
  }
}

void WorkerOutput::give(bool is_error, const Stream& stream, std::string_view text) noexcept {
  const OutputLine line{text, is_error, pid(), stream.call};
  try {
    if (callback_) {
      callback_(line);
    } else {
      print_line(line);
    }
  } catch (...) {
    log_error("ProcessPoolOptions::on_output threw", std::current_exception(), {});
  }
}

}  // namespace siding::detail
