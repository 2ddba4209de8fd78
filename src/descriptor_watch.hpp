// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/node.hpp>
#include <siding/detail/signal_handler.hpp>

#include "ring.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

namespace siding::detail {

class Loop;
class DescriptorWatches;

/// A callback for a descriptor, and the poll that tells when to call it. Loop thread only.
///
/// One of these holds: the poll is in flight; the watch is in the ready queue; its callback runs; or
/// it is idle, because the poll could not be renewed. A watch that was removed is destroyed by run().
class DescriptorWatch final : public Operation, public Node {
 public:
  DescriptorWatch(DescriptorWatches& owner, std::uint64_t key,
                  std::shared_ptr<SignalHandler> handler) noexcept
      : owner_(owner), key_(key), handler_(std::move(handler)) {}

  /// Throws std::bad_alloc.
  void arm();
  void replace(std::shared_ptr<SignalHandler> handler) noexcept { handler_ = std::move(handler); }
  /// True: nothing will come of it any more, and its owner may destroy it at once.
  bool remove() noexcept;

  void complete(int result, std::uint32_t flags) noexcept override;
  void run() noexcept override;
  void refuse() noexcept override { queued_ = false; }

 private:
  DescriptorWatches& owner_;
  const std::uint64_t key_;
  std::shared_ptr<SignalHandler> handler_;
  int result_ = 0;
  bool queued_ = false;
  bool calling_ = false;
  bool removed_ = false;
};

/// Those of one loop. Destroyed after the loop's ring was closed.
class DescriptorWatches {
 public:
  enum class What : unsigned char { readable, writable };

  explicit DescriptorWatches(Loop& loop) noexcept : loop_(loop) {}

  /// Throws: std::system_error if it is no open descriptor; std::invalid_argument for a file or a
  ///   folder, which are always ready.
  void add(int descriptor, What what, std::shared_ptr<SignalHandler> handler);
  bool remove(int descriptor, What what) noexcept;

 private:
  friend DescriptorWatch;

  static std::uint64_t key(int descriptor, What what) noexcept {
    return static_cast<std::uint64_t>(static_cast<unsigned>(descriptor)) * 2 +
           (what == What::writable ? 1 : 0);
  }

  Loop& loop_;
  std::unordered_map<std::uint64_t, std::unique_ptr<DescriptorWatch>> watches_;
  // Removed; run() destroys them.
  std::unordered_map<DescriptorWatch*, std::unique_ptr<DescriptorWatch>> leaving_;
};

}  // namespace siding::detail
