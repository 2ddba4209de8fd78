// SPDX-License-Identifier: MIT
#pragma once

namespace siding::detail {

/// Where completions wait for a loop that do not come through its inbox: those of worker processes,
/// which must not be given the loop's own eventfd (a saturated counter would end all wake-ups).
/// The loop looks at its sources as it looks at its inbox, and sleeps on their eventfds too.
/// Loop thread only, unless said otherwise.
class CompletionSource {
 public:
  CompletionSource() = default;
  CompletionSource(const CompletionSource&) = delete;
  CompletionSource& operator=(const CompletionSource&) = delete;
  virtual ~CompletionSource() = default;

  /// The loop starts to run, or has stopped running: while it does not run, somebody else has to
  /// take the completions.
  virtual void attach() noexcept = 0;
  virtual void detach() noexcept = 0;
  /// The loop is closed; nothing of this is called any more.
  virtual void loop_closed() noexcept = 0;

  /// Whether something seems to be waiting; a few loads.
  virtual bool has_mail() noexcept = 0;
  /// Settles what is waiting: its nodes join the ready queue.
  virtual void collect() noexcept = 0;

  /// From now on a completion writes the eventfd, once. False: something is waiting already.
  virtual bool fall_asleep() noexcept = 0;
  /// The eventfd was written: resets it.
  virtual void reset_event() noexcept = 0;
  virtual int event_fd() const noexcept = 0;

  /// Nothing will come any more; the loop may forget it.
  virtual bool ended() const noexcept = 0;
  /// Writes the eventfd, so that a poll on it ends.
  virtual void wake() noexcept = 0;
};

}  // namespace siding::detail
