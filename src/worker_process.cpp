// SPDX-License-Identifier: MIT
#include "worker_process.hpp"

#include "arena.hpp"
#include "spin.hpp"
#include "worker_region.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/portable_call.hpp>
#include <siding/detail/remote_exception.hpp>
#include <siding/error.hpp>
#include <siding/time.hpp>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

// The inside of a worker process. It has one thread, and a second one from the first call on whose
// function takes a std::stop_token.

namespace siding::detail {

namespace {

/// Trips the stop token of the call that runs, when the program asks for it.
class StopWatcher {
 public:
  explicit StopWatcher(RegionLayout& region) : region_(region) {
    std::thread([this] { watch(); }).detach();  // ends with the process
  }

  std::stop_token begin(Slot& slot) {
    const std::lock_guard lock(mutex_);
    source_ = std::stop_source();
    slot_ = &slot;
    if (slot.stop.load(std::memory_order_acquire) != 0) source_.request_stop();
    return source_.get_token();
  }
  void end() {
    const std::lock_guard lock(mutex_);
    slot_ = nullptr;
  }

 private:
  void watch() {
    for (;;) {
      // acquire: pairs with the program's release, after it has set the slot's word.
      const std::uint32_t seen = region_.header.stop_requests.load(std::memory_order_acquire);
      std::stop_source asked(std::nostopstate);
      {
        const std::lock_guard lock(mutex_);
        if (slot_ != nullptr && slot_->stop.load(std::memory_order_acquire) != 0) asked = source_;
      }
      // Without the lock: callbacks of the token are the function's own code.
      if (asked.stop_possible()) asked.request_stop();
      futex_wait(region_.header.stop_requests, seen);
    }
  }

  RegionLayout& region_;
  std::mutex mutex_;
  std::stop_source source_;  // guarded by mutex_
  Slot* slot_ = nullptr;     // guarded by mutex_
};

class Worker final : public ReplySink {
 public:
  Worker(FileDescriptor region, FileDescriptor control, std::vector<FileDescriptor> events)
      : region_(region.get()), control_(std::move(control)), spin_(spin_length()) {
    for (std::size_t i = 0; i < events.size(); ++i) events_[i] = std::move(events[i]);
    ::prctl(PR_SET_NAME, region_->header.name);
  }

  void run();
  std::span<std::byte> room(std::size_t size) override;

 private:
  // A result in the arena that the program may not have read yet.
  struct Reply {
    Slot* slot;
    std::uint64_t call;
    std::size_t piece;
  };

  std::chrono::nanoseconds spin_length() const {
    return std::chrono::nanoseconds(region_->header.spin_nanoseconds);
  }
  std::optional<std::uint32_t> next();
  bool has_work() const noexcept;
  void sleep();
  void execute(std::uint32_t index);
  void call(Slot& slot);
  std::span<const std::byte> request(const Slot& slot);
  void announce(std::uint32_t index, std::uint32_t channel);
  void write_event(std::uint32_t channel);
  ControlMessage receive(FileDescriptor& descriptor);
  void await_event(std::uint32_t channel);
  FileDescriptor await_memory(std::uint32_t number);
  void note_time(std::chrono::nanoseconds length) noexcept;

  Region region_;
  FileDescriptor control_;
  std::array<FileDescriptor, channel_count> events_;
  std::map<std::uint32_t, FileDescriptor> memories_;  // arrived before they were asked for
  Spin spin_;
  std::uint32_t head_ = 0;  // of the submissions
  Slot* slot_ = nullptr;    // of the call that runs
  Mapping large_request_;   // of the call that runs
  Mapping large_reply_;
  Arena replies_{arena_size};
  std::vector<Reply> unread_;
  std::uint32_t memories_made_ = Payload::in_arena;
  std::uint32_t mean_ = 0;
  std::optional<StopWatcher> stops_;
};

bool Worker::has_work() const noexcept {
  // acquire: pairs with the program's release of the tail; the slot is visible.
  return region_->header.submitted_tail.load(std::memory_order_acquire) != head_;
}

// Empty: the worker shall end.
std::optional<std::uint32_t> Worker::next() {
  while (!has_work()) {
    if (region_->header.retire.load(std::memory_order_acquire) != 0) return std::nullopt;
    if (const WorkerSpin turn; turn && spin_.until([this] { return has_work(); })) break;
    sleep();
  }
  const std::uint32_t index =
      region_->header.submitted[head_ % submission_count].load(std::memory_order_relaxed);
  ++head_;
  // release: the program may use the entry again.
  region_->header.submitted_head.store(head_, std::memory_order_release);
  return index % slot_count;
}

void Worker::sleep() {
  std::fflush(nullptr);  // what the calls printed is not kept back by a pause
  std::atomic<std::uint32_t>& asleep = region_->header.asleep;
  asleep.store(1, std::memory_order_relaxed);
  // seq_cst: pairs with the program's fence between writing the tail and reading `asleep`: one of
  // the two sees the other.
  full_fence();
  // Others have calls that wait: ask for one.
  if (region_->header.backlog.load(std::memory_order_relaxed) != 0) write_event(0);
  while (!has_work() && region_->header.retire.load(std::memory_order_acquire) == 0 &&
         asleep.load(std::memory_order_acquire) != 0) {
    futex_wait(asleep, 1);
  }
  asleep.store(0, std::memory_order_relaxed);
}

void Worker::run() {
  while (const std::optional<std::uint32_t> index = next()) execute(*index);
  std::fflush(nullptr);
}

void Worker::execute(std::uint32_t index) {
  Slot& slot = region_->slots[index];
  SlotState state = SlotState::queued;
  // acquire: pairs with the program's release, so that the arguments are visible.
  if (!slot.state.compare_exchange_strong(state, SlotState::running, std::memory_order_acq_rel)) {
    return;  // recalled
  }
  const TimePoint started = Clock::now();
  slot_ = &slot;
  const std::uint32_t channel = slot.channel;
  call(slot);
  note_time(Clock::now() - started);
  large_request_ = Mapping();
  large_reply_ = Mapping();
  state = SlotState::running;
  // release: publishes the result.
  if (!slot.state.compare_exchange_strong(state, SlotState::done, std::memory_order_acq_rel)) {
    // The program has decided to kill this process.
    for (;;) ::pause();
  }
  announce(index, channel);
}

void Worker::call(Slot& slot) {
  std::exception_ptr error;
  try {
    const std::span<const std::byte> arguments = request(slot);
    WireReader in(arguments);
    const auto thunk = reinterpret_cast<Thunk>(const_cast<void*>(code_at(slot.thunk)));
    slot.kind = ReplyKind::value;
    if (slot.takes_token == 0) {
      thunk(in, *this, std::stop_token());
    } else {
      if (!stops_.has_value()) stops_.emplace(*region_.operator->());
      struct Ending {
        StopWatcher& stops;
        ~Ending() { stops.end(); }
      } const ending{*stops_};
      thunk(in, *this, stops_->begin(slot));
    }
    return;
  } catch (...) {
    error = std::current_exception();
  }
  slot.kind = ReplyKind::error;
  const std::vector<std::byte> bytes = encode_exception(error);
  const std::span<std::byte> target = room(bytes.size());
  std::memcpy(target.data(), bytes.data(), bytes.size());
}

std::span<const std::byte> Worker::request(const Slot& slot) {
  const Payload& payload = slot.request;
  if (payload.where == Payload::in_slot) {
    return {slot.bytes, static_cast<std::size_t>(payload.size)};
  }
  if (payload.where == Payload::in_arena) {
    return {region_->requests.data() + payload.offset, static_cast<std::size_t>(payload.size)};
  }
  const FileDescriptor memory = await_memory(payload.where);
  large_request_ = Mapping(memory.get(), static_cast<std::size_t>(payload.size));
  return {large_request_.data(), static_cast<std::size_t>(payload.size)};
}

std::span<std::byte> Worker::room(std::size_t size) {
  Payload& payload = slot_->reply;
  payload.size = size;
  if (size <= inline_size) {
    payload.where = Payload::in_slot;
    return {slot_->bytes, size};
  }
  std::erase_if(unread_, [this](const Reply& reply) {
    // acquire: pairs with the program's release when it has read the result.
    const SlotState state = reply.slot->state.load(std::memory_order_acquire);
    if (state == SlotState::done && reply.slot->call == reply.call) return false;
    replies_.give_back(reply.piece);
    return true;
  });
  if (const std::optional<std::size_t> piece = replies_.take(size)) {
    unread_.push_back({slot_, slot_->call, *piece});
    payload.where = Payload::in_arena;
    payload.offset = *piece;
    return {region_->replies.data() + *piece, size};
  }
  // Too large, or the program is slow to read: memory of its own.
  const FileDescriptor memory = make_sealed_memory("siding-result", size);
  large_reply_ = Mapping(memory.get(), size);
  const ControlMessage message{ControlKind::memory, ++memories_made_};
  const int passed[] = {memory.get()};
  if (!send_message(control_.get(), &message, sizeof message, passed)) {
    throw SerializationError("a large result could not be sent to the program");
  }
  payload.where = message.number;
  return {large_reply_.data(), size};
}

void Worker::announce(std::uint32_t index, std::uint32_t channel) {
  Channel& target = region_->channels[channel % channel_count];
  const std::uint32_t tail = target.tail.load(std::memory_order_relaxed);
  target.entries[tail % slot_count].store(index, std::memory_order_relaxed);
  // release: pairs with the program's acquire of the tail.
  target.tail.store(tail + 1, std::memory_order_release);
  // seq_cst: pairs with the program's fence between arming and its last look at the tail.
  full_fence();
  if (target.armed.load(std::memory_order_relaxed) != 0 &&
      target.armed.exchange(0, std::memory_order_relaxed) != 0) {
    write_event(channel % channel_count);
  }
}

void Worker::write_event(std::uint32_t channel) {
  if (!events_[channel]) await_event(channel);
  const std::uint64_t one = 1;
  // Full only if somebody wrote nonsense to it: read it, so that the next write is seen again.
  while (::write(events_[channel].get(), &one, sizeof one) < 0 && errno == EAGAIN) {
    std::uint64_t count = 0;
    if (::read(events_[channel].get(), &count, sizeof count) < 0) break;
  }
}

ControlMessage Worker::receive(FileDescriptor& descriptor) {
  ControlMessage message;
  Received received = receive_message(control_.get(), &message, sizeof message);
  if (received.size != static_cast<long>(sizeof message) || received.count != 1) {
    ::_exit(1);  // the program is gone
  }
  descriptor = std::move(received.descriptors[0]);
  return message;
}

void Worker::await_event(std::uint32_t channel) {
  while (!events_[channel]) {
    FileDescriptor descriptor;
    const ControlMessage message = receive(descriptor);
    if (message.kind == ControlKind::event) {
      events_[message.number % channel_count] = std::move(descriptor);
    } else {
      memories_[message.number] = std::move(descriptor);
    }
  }
}

FileDescriptor Worker::await_memory(std::uint32_t number) {
  // Those of calls that were recalled: nobody asks for them any more.
  std::erase_if(memories_, [number](const auto& memory) {
    return memory.first + 2 * slot_count < number;
  });
  for (;;) {
    if (const auto found = memories_.find(number); found != memories_.end()) {
      FileDescriptor memory = std::move(found->second);
      memories_.erase(found);
      return memory;
    }
    FileDescriptor descriptor;
    const ControlMessage message = receive(descriptor);
    if (message.kind == ControlKind::event) {
      events_[message.number % channel_count] = std::move(descriptor);
    } else {
      memories_[message.number] = std::move(descriptor);
    }
  }
}

// A running mean over about eight calls; the program decides by it how many calls to send ahead.
void Worker::note_time(std::chrono::nanoseconds length) noexcept {
  const auto now = static_cast<std::int64_t>(
      std::min<std::chrono::nanoseconds::rep>(length.count(), 1'000'000'000));
  mean_ = static_cast<std::uint32_t>(mean_ + (now - static_cast<std::int64_t>(mean_)) / 8);
  region_->header.mean_nanoseconds.store(mean_, std::memory_order_relaxed);
}

}  // namespace

void run_worker(FileDescriptor region, FileDescriptor control,
                std::vector<FileDescriptor> events) noexcept {
  Worker worker(std::move(region), std::move(control), std::move(events));
  worker.run();
  ::_exit(0);
}

}  // namespace siding::detail
