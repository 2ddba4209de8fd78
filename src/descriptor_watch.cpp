// SPDX-License-Identifier: MIT
#include "descriptor_watch.hpp"

#include "loop.hpp"

#include <siding/detail/error_report.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <system_error>

namespace siding::detail {

void DescriptorWatch::arm() {
  // One shot, and renewed after each call: so the callback comes again while the descriptor is ready.
  owner_.loop_.ring().poll_once(*this, static_cast<int>(key_ / 2),
                                key_ % 2 != 0 ? POLLOUT : POLLIN);
}

bool DescriptorWatch::remove() noexcept {
  removed_ = true;
  handler_->remove();
  if (in_flight()) {
    try {
      owner_.loop_.ring().cancel(*this);
    } catch (const std::bad_alloc&) {
      // It goes when the descriptor is ready, or with the loop.
    }
    return false;
  }
  return !queued_ && !calling_;
}

// From inside the ring's reaping: only enqueues.
void DescriptorWatch::complete(int result, std::uint32_t) noexcept {
  result_ = result;
  queued_ = true;
  owner_.loop_.ready.push(*this);
}

void DescriptorWatch::run() noexcept {
  queued_ = false;
  if (!removed_ && result_ >= 0) {
    calling_ = true;
    try {
      const std::shared_ptr<SignalHandler> handler = handler_;  // it may be replaced meanwhile
      handler->run();
    } catch (...) {
      report_error(owner_.loop_.inbox, "a callback of a descriptor threw", std::current_exception(),
                   {});
    }
    calling_ = false;
  }
  if (removed_) return static_cast<void>(owner_.leaving_.erase(this));
  try {
    if (result_ < 0) {
      throw std::system_error(-result_, std::system_category(),
                              fmt::format("watching descriptor {}; remove its callbacks before it is "
                                          "closed",
                                          key_ / 2));
    }
    arm();
  } catch (...) {
    report_error(owner_.loop_.inbox, "a descriptor is not watched any more",
                 std::current_exception(), {});
    owner_.watches_.erase(key_);
  }
}

void DescriptorWatches::add(int descriptor, What what, std::shared_ptr<SignalHandler> handler) {
  const char* const name = what == What::readable ? "add_reader" : "add_writer";
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    throw std::system_error(errno, std::system_category(),
                            fmt::format("{}: descriptor {}", name, descriptor));
  }
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
    throw std::invalid_argument(fmt::format(
        "{}: descriptor {} is a file or a folder, which is always ready; read it in to_thread()",
        name, descriptor));
  }
  const std::uint64_t place = key(descriptor, what);
  if (const auto found = watches_.find(place); found != watches_.end()) {
    return found->second->replace(std::move(handler));
  }
  auto watch = std::make_unique<DescriptorWatch>(*this, place, std::move(handler));
  leaving_.reserve(watches_.size() + leaving_.size() + 1);  // for its removal
  DescriptorWatch& added = *watches_.emplace(place, std::move(watch)).first->second;
  try {
    added.arm();
  } catch (...) {
    watches_.erase(place);
    throw;
  }
}

bool DescriptorWatches::remove(int descriptor, What what) noexcept {
  const auto found = watches_.find(key(descriptor, what));
  if (found == watches_.end()) return false;
  std::unique_ptr<DescriptorWatch> watch = std::move(found->second);
  watches_.erase(found);
  if (!watch->remove()) {
    DescriptorWatch* const leaving = watch.get();
    leaving_.emplace(leaving, std::move(watch));
  }
  return true;
}

}  // namespace siding::detail
