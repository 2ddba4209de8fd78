// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

namespace siding::detail {

/// Something that a loop can run: the one link type of ready queues and inboxes. It is embedded in
/// what it belongs to (an awaiter in a frame, a callback on the heap); queues never allocate.
struct Node {
  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Does what the node is for. Runs on the loop thread, from the loop itself. The node may be
  /// gone when this returns.
  virtual void run() noexcept = 0;

  /// Called instead of `run` if the loop is closed first. Loop thread, or the pushing thread if the
  /// inbox is closed already. Frees what the node owns.
  virtual void refuse() noexcept = 0;

  Node* next = nullptr;

 protected:
  ~Node() = default;
};

/// First in, first out, singly linked. No lock of its own.
class NodeQueue {
 public:
  bool empty() const noexcept { return first_ == nullptr; }

  void push(Node& node) noexcept {
    node.next = nullptr;
    *last_link_ = &node;
    last_link_ = &node.next;
  }

  /// Appends a null-terminated chain.
  void append(Node* first) noexcept {
    *last_link_ = first;
    while (*last_link_ != nullptr) last_link_ = &(*last_link_)->next;
  }

  Node* pop() noexcept {
    Node* node = first_;
    if (node != nullptr) {
      first_ = node->next;
      if (first_ == nullptr) last_link_ = &first_;
    }
    return node;
  }

  /// Takes everything: the chain in order, and an empty queue left behind.
  Node* take() noexcept {
    Node* chain = first_;
    first_ = nullptr;
    last_link_ = &first_;
    return chain;
  }

  /// Puts an unfinished chain back in front of what came since.
  void prepend(Node* chain) noexcept {
    if (chain == nullptr) return;
    Node* rest = take();
    append(chain);
    append(rest);
  }

  NodeQueue() = default;
  NodeQueue(const NodeQueue&) = delete;
  NodeQueue& operator=(const NodeQueue&) = delete;

 private:
  Node* first_ = nullptr;
  Node** last_link_ = &first_;
};

}  // namespace siding::detail
