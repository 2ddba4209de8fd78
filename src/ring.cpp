// SPDX-License-Identifier: MIT
#include "ring.hpp"

#include "io_uring_unavailable.hpp"
#include "live_rings.hpp"
#include "uring_abi.hpp"

#include <siding/error.hpp>

#include <liburing.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>

// liburing sets the queues up and prepares entries; this file enters the kernel itself, because
// liburing 2.3 cannot pass IORING_ENTER_NO_IOWAIT, and because the number of a registered ring
// belongs to a thread: used on another one, the same number may mean another ring.
//
// Everything is first in, first out, the overflow list included. That makes it safe to cancel by
// address: a cancellation is always submitted before an operation that reuses the memory.

// The thread sanitizer does not see that the kernel stands between preparing an operation and its
// completion, so both ends tell it.
#if defined(__SANITIZE_THREAD__)
#define SIDING_RING_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIDING_RING_TSAN 1
#endif
#endif
#ifdef SIDING_RING_TSAN
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace siding::detail {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

void hand_to_kernel([[maybe_unused]] Operation* operation) noexcept {
#ifdef SIDING_RING_TSAN
  __tsan_release(operation);
#endif
}

void take_from_kernel([[maybe_unused]] Operation* operation) noexcept {
#ifdef SIDING_RING_TSAN
  __tsan_acquire(operation);
#endif
}

// What user_data carries in its three low bits, which are zero in the address of an operation.
constexpr std::uint64_t tag_operation = 0;
constexpr std::uint64_t tag_wake = 1;
constexpr std::uint64_t tag_cancel = 2;
constexpr std::uint64_t tag_mask = 7;
static_assert(alignof(Operation) > tag_mask);

std::uint64_t user_data_of(const Operation& operation) noexcept {
  return reinterpret_cast<std::uintptr_t>(&operation) | tag_operation;
}

struct Rung {
  RingMode mode;
  std::uint32_t flags;
};

// TASKRUN_FLAG (Linux 5.19) shows in the flags of the submission queue that the kernel has
// completions to make, which lets poll() do without a system call.
constexpr Rung ladder[] = {
    {RingMode::deferred,
     IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {RingMode::cooperative, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
    {RingMode::plain, 0},
};

// SUBMIT_ALL (Linux 5.18): a bad entry does not strand the ones behind it. R_DISABLED (5.10): the
// thread that enables the ring, not the one that makes it, becomes the single issuer.
constexpr std::uint32_t common_flags =
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;

// All older than the baseline: waiting with a timeout (Linux 5.11), completions that are kept when
// their queue is full (5.5), entries that succeed silently (5.17).
constexpr std::uint32_t required_features =
    IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;

// Chosen: how long to sleep when the kernel is short of memory and refuses new work, and how often
// a closing ring asks again that everything be cancelled.
constexpr nanoseconds refused_pause = 1ms;
constexpr nanoseconds cancel_period = 10ms;

// A number for the calling thread that, unlike pthread_self(), never means another one later.
std::uint64_t this_thread() noexcept {
  static std::atomic<std::uint64_t> last{0};
  thread_local std::uint64_t mine = 0;
  // Relaxed: the numbers only have to differ.
  if (mine == 0) mine = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return mine;
}

// Zero if the time has passed; the plain difference could overflow then.
nanoseconds time_until(Clock::time_point when) noexcept {
  const auto now = Clock::now();
  return when > now ? when - now : 0ns;
}

__kernel_timespec to_timespec(nanoseconds duration) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {seconds.count(), (duration - seconds).count()};
}

// The errno with which io_uring_enter or io_uring_register is refused to this process although
// io_uring_setup is not, as by a seccomp profile that names only some of the three; or 0. The calls
// change nothing: the ring is disabled, and has no eventfd to unregister.
int refused_call(int descriptor) noexcept {
  const int results[] = {
      io_uring_enter(static_cast<unsigned>(descriptor), 0, 0, 0, nullptr),
      io_uring_register(static_cast<unsigned>(descriptor), IORING_UNREGISTER_EVENTFD, nullptr, 0),
  };
  for (const int result : results) {
    if (result == -EPERM || result == -EACCES || result == -ENOSYS) return -result;
  }
  return 0;
}

}  // namespace

struct Ring::State : LiveRing {
  enum class Phase { open, closing, closed };

  // Everything runs on the owner's thread, or before there is an owner; close() also after it.
  int set_up(const RingOptions& options) noexcept;
  void enable();
  void require_usable() const;
  void require_enabled() const;

  int enter(unsigned to_submit, unsigned min_complete, std::optional<nanoseconds> timeout) noexcept;
  unsigned publish() noexcept;
  io_uring_sqe* free_slot() noexcept;
  void prepare(const io_uring_sqe& entry);
  void start(Operation& operation, io_uring_sqe& entry);
  void unpark() noexcept;
  void arm_wake();
  bool has_kernel_work() const noexcept;
  void pass(bool may_sleep, std::optional<Clock::time_point> deadline);

  std::size_t reap() noexcept;
  void dispatch(const io_uring_cqe& entry) noexcept;
  void finish(Operation& operation, int result, std::uint32_t flags) noexcept;

  bool close(nanoseconds limit) noexcept;
  void withdraw_unsubmitted() noexcept;
  void withdraw(const io_uring_sqe& entry) noexcept;
  void cancel_everything() noexcept;
  void give_back() noexcept;

  bool forked() const noexcept {
    return generation != fork_generation.load(std::memory_order_relaxed);
  }
  bool is_owner() const noexcept { return owner == this_thread(); }

  io_uring ring{};
  RingMode mode = RingMode::plain;
  Phase phase = Phase::open;
  std::uint32_t generation = fork_generation.load(std::memory_order_relaxed);
  std::uint64_t owner = 0;             // this_thread() of who enabled the ring; 0 before that
  std::optional<std::uint32_t> index;  // of the registered ring, on the owner's thread
  std::uint32_t enter_flags = 0;       // set in every call that may wait
  int wake_fd = -1;
  bool wake_armed = false;          // the wake poll is prepared or in flight
  int wake_error = 0;               // an errno: polling wake_fd does not work
  std::size_t owed = 0;             // the sum of Operation::owed_
  std::deque<io_uring_sqe> parked;  // prepared while the submission queue was full
  RingCounters counters;
};

// Returns an errno, or 0.
int Ring::State::set_up(const RingOptions& options) noexcept {
  const std::lock_guard lock(live_mutex);
  int error = EINVAL;
  for (const Rung& rung : ladder) {
    if (rung.mode < options.best_mode) continue;
    io_uring_params params{};
    params.flags = common_flags | rung.flags;
    params.cq_entries = std::max(options.completion_entries, options.entries);
    error = -io_uring_queue_init_params(options.entries, &ring, &params);
    mode = rung.mode;
    if (error != EINVAL) break;
  }
  if (error != 0) return error;
  error = (ring.features & required_features) == required_features ? 0 : EINVAL;
  // A child that touched the queues would move the parent's; without the mapping it crashes.
  if (error == 0) error = -io_uring_ring_dontfork(&ring);
  if (error == 0) error = refused_call(ring.ring_fd);
  if (error != 0) {
    io_uring_queue_exit(&ring);
    return error;
  }
  if ((ring.features & uring_abi::feature_no_iowait) != 0) enter_flags = uring_abi::enter_no_iowait;
  descriptor = ring.ring_fd;
  link(*this);
  return 0;
}

void Ring::State::enable() {
  require_usable();
  if (owner != 0) return;
  // Not io_uring_enable_rings(): Debian's shared liburing 2.3 does not export it.
  const int result = io_uring_register(static_cast<unsigned>(descriptor),
                                       IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  if (result < 0) {
    throw std::system_error(-result, std::system_category(),
                            "cannot enable an io_uring (let this process call io_uring_register, "
                            "and run a loop on one thread only)");
  }
  owner = this_thread();
  // Saves the look-up of the descriptor in each call (Linux 5.18). It may fail, for example when
  // the thread has registered its sixteen already; the descriptor does as well.
  io_uring_rsrc_update request{};
  request.offset = ~0u;  // any free index
  request.data = static_cast<unsigned>(descriptor);
  if (io_uring_register(static_cast<unsigned>(descriptor), IORING_REGISTER_RING_FDS, &request, 1) ==
      1) {
    index = request.offset;
  }
  arm_wake();
}

void Ring::State::require_usable() const {
  if (forked())
    throw InvalidStateError("an event loop cannot be used in a child process of fork()");
  if (owner != 0 && !is_owner())
    throw InvalidStateError("an event loop was used on a thread that is not its own");
  if (phase != Phase::open) throw InvalidStateError("an event loop was used after it was closed");
}

void Ring::State::require_enabled() const {
  require_usable();
  if (owner == 0) throw InvalidStateError("an event loop was waited on before it was enabled");
}

// ---- submission

int Ring::State::enter(unsigned to_submit, unsigned min_complete,
                       std::optional<nanoseconds> timeout) noexcept {
  ++counters.enters;
  __kernel_timespec limit = to_timespec(timeout.value_or(0ns));
  io_uring_getevents_arg argument{};
  argument.sigmask_sz = _NSIG / 8;
  if (timeout) argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
  // GETEVENTS also when not waiting: it makes deferred completions and moves those that did not fit
  // into their queue. EXT_ARG carries the timeout (Linux 5.11).
  unsigned flags = enter_flags | IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (index) flags |= IORING_ENTER_REGISTERED_RING;
  return io_uring_enter2(index.value_or(static_cast<unsigned>(descriptor)), to_submit, min_complete,
                         flags, reinterpret_cast<sigset_t*>(&argument), sizeof argument);
}

// Shows the prepared entries to the kernel; returns how many it has not taken yet.
unsigned Ring::State::publish() noexcept {
  ring.sq.sqe_head = ring.sq.sqe_tail;
  // Release: the entries are written before the tail that covers them; the kernel acquires it.
  io_uring_smp_store_release(ring.sq.ktail, ring.sq.sqe_tail);
  return io_uring_sq_ready(&ring);
}

io_uring_sqe* Ring::State::free_slot() noexcept {
  if (io_uring_sqe* slot = io_uring_get_sqe(&ring)) return slot;
  ++counters.sq_full;
  if (owner == 0) return nullptr;  // the kernel takes nothing yet
  // A submission alone, without GETEVENTS. Should it fail, the next pass meets the same error.
  ++counters.enters;
  const unsigned flags = index ? IORING_ENTER_REGISTERED_RING : 0;
  io_uring_enter(index.value_or(static_cast<unsigned>(descriptor)), publish(), 0, flags, nullptr);
  return io_uring_get_sqe(&ring);
}

void Ring::State::prepare(const io_uring_sqe& entry) {
  io_uring_sqe* slot = parked.empty() ? free_slot() : nullptr;
  if (slot != nullptr) {
    *slot = entry;
  } else {
    parked.push_back(entry);
  }
}

void Ring::State::start(Operation& operation, io_uring_sqe& entry) {
  require_usable();
  entry.user_data = user_data_of(operation);
  hand_to_kernel(&operation);
  prepare(entry);
  ++operation.owed_;
  ++owed;
}

void Ring::State::unpark() noexcept {
  while (!parked.empty()) {
    io_uring_sqe* slot = io_uring_get_sqe(&ring);
    if (slot == nullptr) return;
    *slot = parked.front();
    parked.pop_front();
    ++counters.overflow_flushes;
  }
}

// A multishot poll (Linux 5.13) costs one completion per sleep and no read. The kernel looks at the
// eventfd when it arms the poll, so a write that came earlier is not lost.
void Ring::State::arm_wake() {
  io_uring_sqe entry{};
  io_uring_prep_poll_multishot(&entry, wake_fd, POLLIN);
  entry.user_data = tag_wake;
  prepare(entry);
  wake_armed = true;
}

bool Ring::State::has_kernel_work() const noexcept {
  const unsigned flags = IO_URING_READ_ONCE(*ring.sq.kflags);
  return io_uring_sq_ready(&ring) != 0 || !parked.empty() || !wake_armed ||
         (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

void Ring::State::pass(bool may_sleep, std::optional<Clock::time_point> deadline) {
  bool refused = false;
  for (;;) {
    if (!wake_armed) {
      arm_wake();
      ++counters.wake_rearms;
    }
    unpark();
    if ((IO_URING_READ_ONCE(*ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0) ++counters.cq_overflows;

    std::optional<nanoseconds> timeout;
    if (deadline) timeout = time_until(*deadline);
    if (refused) timeout = std::min(timeout.value_or(refused_pause), refused_pause);
    // Nobody sleeps while entries still wait for room, except when the kernel wants a pause.
    const bool sleep = may_sleep && timeout != 0ns && (parked.empty() || refused);
    const int result = enter(refused ? 0 : publish(), sleep ? 1 : 0, timeout);
    refused = result == -EAGAIN || result == -EBUSY;
    if (result < 0 && !refused && result != -EINTR && result != -ETIME)
      throw std::system_error(-result, std::system_category(), "io_uring_enter");

    const bool reaped = reap() != 0;
    if (wake_error != 0)
      throw std::system_error(wake_error, std::system_category(), "poll of the wake eventfd");
    if (reaped) break;
    const bool timed_out = deadline && Clock::now() >= *deadline;
    if ((!may_sleep || timed_out) && (parked.empty() || refused)) break;
  }
  unpark();
}

// ---- completion

std::size_t Ring::State::reap() noexcept {
  unsigned seen = 0;
  unsigned head = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring, head, entry) {
    ++seen;
    dispatch(*entry);
  }
  io_uring_cq_advance(&ring, seen);
  counters.cqes += seen;
  return seen;
}

void Ring::State::dispatch(const io_uring_cqe& entry) noexcept {
  const std::uint64_t tag = entry.user_data & tag_mask;
  if (tag == tag_operation) {
    const auto address = static_cast<std::uintptr_t>(entry.user_data);
    finish(*reinterpret_cast<Operation*>(address), entry.res, entry.flags);
  } else if (tag == tag_wake) {
    if (entry.res >= 0) ++counters.wakes;
    // A full completion queue ends a multishot poll; the next pass renews it.
    if ((entry.flags & IORING_CQE_F_MORE) == 0) wake_armed = false;
    if (entry.res < 0 && entry.res != -ECANCELED && entry.res != -ENOMEM) wake_error = -entry.res;
  }
  // A cancellation completes only when it found nothing (-ENOENT) or came too late (-EALREADY):
  // the operation's own completion says all there is to know.
}

void Ring::State::finish(Operation& operation, int result, std::uint32_t flags) noexcept {
  take_from_kernel(&operation);
  if ((flags & IORING_CQE_F_MORE) == 0) {
    --operation.owed_;
    --owed;
  }
  if (phase == Phase::open) {
    operation.complete(result, flags);
  } else {
    operation.discard(result);
  }
}

// ---- closing

// io_uring_queue_exit() alone does not do: it returns while the kernel still writes to the buffers
// of what is in flight. Neither does cancelling: it returns before what it cancels has ended. Only
// the last completion proves that the memory is ours again.
bool Ring::State::close(nanoseconds limit) noexcept {
  if (phase == Phase::closed) return true;
  const auto begin = Clock::now();
  limit = std::max(limit, 0ns);
  phase = Phase::closing;
  withdraw_unsubmitted();
  reap();
  nanoseconds pause = 0ns;
  while (owed != 0) {
    // The kernel lets only the owner cancel, and makes deferred completions only for the owner.
    if (!is_owner()) return false;
    cancel_everything();
    const int result = enter(0, pause > 0ns ? 1 : 0, pause);
    reap();
    if (result == -EPERM || result == -EACCES || result == -ENOSYS) return owed == 0;
    const nanoseconds left = limit - (Clock::now() - begin);
    if (owed != 0 && left <= 0ns) return false;
    pause = std::min(left, cancel_period);
  }
  give_back();
  phase = Phase::closed;
  return true;
}

// Takes back what the kernel has not seen. Without a polling kernel thread it reads the submission
// queue only while we are in io_uring_enter.
void Ring::State::withdraw_unsubmitted() noexcept {
  const unsigned head = io_uring_smp_load_acquire(ring.sq.khead);
  for (unsigned i = head; i != ring.sq.sqe_tail; ++i)
    withdraw(ring.sq.sqes[i & ring.sq.ring_mask]);
  ring.sq.sqe_tail = head;
  publish();
  for (const io_uring_sqe& entry : parked)
    withdraw(entry);
  parked.clear();
}

void Ring::State::withdraw(const io_uring_sqe& entry) noexcept {
  io_uring_cqe completion{};
  completion.user_data = entry.user_data;
  completion.res = -ECANCELED;
  dispatch(completion);
}

// Each round of closing asks again: an operation can slip through while it moves between the
// kernel's lists. The timeout of zero is there because the call would otherwise wait for what
// cannot be cancelled.
void Ring::State::cancel_everything() noexcept {
  io_uring_sync_cancel_reg request{};  // Linux 6.0
  request.fd = -1;
  request.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  io_uring_register(static_cast<unsigned>(descriptor), IORING_REGISTER_SYNC_CANCEL, &request, 1);
}

// The wake poll may still be armed: it writes to nothing but the ring.
void Ring::State::give_back() noexcept {
  const std::lock_guard lock(live_mutex);
  unlink(*this);
  if (index && is_owner()) {
    io_uring_rsrc_update request{};
    request.offset = *index;
    io_uring_register(static_cast<unsigned>(descriptor), IORING_UNREGISTER_RING_FDS, &request, 1);
  }
  io_uring_queue_exit(&ring);
}

// ---- the ring

Ring::Ring(int wake_fd, RingOptions options) : state_(std::make_unique<State>()) {
  watch_forks();
  state_->wake_fd = wake_fd;
  if (const int error = state_->set_up(options); error != 0)
    throw_io_uring_unavailable(error, options.entries, options.completion_entries);
}

Ring::~Ring() {
  if (state_->forked()) return;
  const bool tried = state_->phase == State::Phase::closing;
  // What may still be written to stays; the list of live rings keeps it reachable.
  if (!state_->close(tried ? 0ns : default_close_limit)) static_cast<void>(state_.release());
}

void Ring::enable() { state_->enable(); }

void Ring::wait(std::optional<Clock::time_point> deadline) {
  state_->require_enabled();
  state_->pass(true, deadline);
}

void Ring::poll() {
  state_->require_enabled();
  if (state_->has_kernel_work()) {
    state_->pass(false, std::nullopt);
  } else {
    state_->reap();
  }
}

void Ring::read(Operation& operation, int fd, std::span<std::byte> buffer, std::uint64_t offset) {
  constexpr std::size_t most = 0x7ffff000;  // the kernel's own limit, MAX_RW_COUNT
  io_uring_sqe entry{};
  const auto size = static_cast<unsigned>(std::min(buffer.size(), most));
  io_uring_prep_read(&entry, fd, buffer.data(), size, offset);
  state_->start(operation, entry);
}

void Ring::poll_once(Operation& operation, int fd, unsigned events) {
  io_uring_sqe entry{};
  io_uring_prep_poll_add(&entry, fd, events);
  state_->start(operation, entry);
}

void Ring::cancel(Operation& operation) {
  state_->require_usable();
  if (!operation.in_flight()) return;
  io_uring_sqe entry{};
  io_uring_prep_cancel64(&entry, user_data_of(operation), 0);
  entry.flags = IOSQE_CQE_SKIP_SUCCESS;  // Linux 5.17
  entry.user_data = tag_cancel;
  state_->prepare(entry);
}

bool Ring::close(nanoseconds limit) noexcept { return state_->forked() || state_->close(limit); }

bool Ring::forked() const noexcept { return state_->forked(); }
RingMode Ring::mode() const noexcept { return state_->mode; }
const RingCounters& Ring::counters() const noexcept { return state_->counters; }
std::size_t Ring::owed() const noexcept { return state_->owed; }

// ---- probing

bool KernelFeatures::no_iowait() const noexcept {
  return (feature_word & uring_abi::feature_no_iowait) != 0;
}

bool KernelFeatures::waitid() const noexcept { return operations[uring_abi::operation_waitid]; }

const KernelFeatures& kernel_features() {
  static const KernelFeatures features = [] {
    const std::lock_guard lock(live_mutex);  // no child inherits the descriptor
    KernelFeatures found;
    io_uring ring{};
    if (io_uring_queue_init(2, &ring, 0) != 0) return found;
    found.io_uring = true;
    found.feature_word = ring.features;
    if (io_uring_probe* probe = io_uring_get_probe_ring(&ring)) {
      for (int operation = 0; operation <= probe->last_op; ++operation)
        found.operations[static_cast<std::size_t>(operation)] =
            io_uring_opcode_supported(probe, operation) != 0;
      io_uring_free_probe(probe);
    }
    io_uring_queue_exit(&ring);
    return found;
  }();
  return features;
}

}  // namespace siding::detail
