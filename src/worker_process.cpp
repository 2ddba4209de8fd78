// SPDX-License-Identifier: MIT
#include "worker_process.hpp"

#include "arena.hpp"
#include "crash_watch.hpp"
#include "spin.hpp"
#include "stop_watcher.hpp"
#include "worker_buffers.hpp"
#include "worker_files.hpp"
#include "worker_region.hpp"
#include "worker_setup.hpp"
#include "zygote_protocol.hpp"

#include <siding/detail/carried_variables.hpp>
#include <siding/detail/error_report.hpp>
#include <siding/detail/job_node.hpp>
#include <siding/detail/portable_call.hpp>
#include <siding/detail/remote_exception.hpp>
#include <siding/error.hpp>
#include <siding/time.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
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

// Chosen: how often a worker looks whether the program has made room for a result.
constexpr std::chrono::microseconds look_again{100};
// Set in a child that a function forks.
bool is_copy = false;

Variables carried_variables(std::span<const std::byte> bytes) {
  try {
    return read_carried(bytes);
  } catch (...) {
    throw SerializationError(fmt::format("a context variable could not be read in the worker: {}",
                                         describe(std::current_exception())));
  }
}

class Worker final : public ReplySink, private BufferHost {
 public:
  explicit Worker(WorkerDescriptors given)
      : region_(given.region.get()),
        control_(out_of_the_way(std::move(given.control))),
        spin_(spin_length()),
        replies_(region_.arena_size()) {
    for (std::size_t i = 0; i < given.events.size(); ++i) {
      events_[i] = out_of_the_way(std::move(given.events[i]));
    }
    ::prctl(PR_SET_NAME, region_->header.name);
    region_->header.pid.store(::getpid(), std::memory_order_relaxed);
    watch_for_crashes(region_->crash);
    set_up(given);
  }

  void run();
  std::span<std::byte> room(std::size_t size) override;
  BufferExchange* buffers() noexcept override { return &buffers_; }

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
  bool retires() const noexcept;
  void sleep();
  void set_up(WorkerDescriptors& given) noexcept;
  void note_growth() noexcept;
  void execute(std::uint32_t index);
  void call(Slot& slot);
  std::span<const std::byte> request(const Slot& slot) const;
  std::optional<std::size_t> take_piece(std::size_t size);
  void announce(std::uint32_t index, std::uint32_t channel);
  void write_event(std::uint32_t channel);
  void await_event(std::uint32_t channel);
  // BufferHost
  void ring() override { write_event(0); }
  void hear_program() override;
  int socket() const noexcept override { return control_.get(); }
  void lost() noexcept override { ::_exit(lost_descriptors); }

  void note_time(std::chrono::nanoseconds length) noexcept;

  Region region_;
  FileDescriptor control_;
  std::array<FileDescriptor, channel_count> events_;
  Spin spin_;
  std::uint32_t head_ = 0;  // of the submissions
  Slot* slot_ = nullptr;    // of the call that runs
  Arena replies_;
  std::vector<Reply> unread_;
  std::uint32_t mean_ = 0;
  std::optional<StopWatcher> stops_;
  std::optional<OutputMarks> marks_;  // where output is relayed
  std::uint64_t max_rss_ = 0;         // 0: any
  WorkerBuffers buffers_{region_->buffers, *this};
};

// Where that fails, the program is told why by what is left in the region.
void Worker::set_up(WorkerDescriptors& given) noexcept {
  try {
    const WorkerSetup setup = read_setup(given.setup.get());
    if (setup.relays_output) marks_.emplace(std::move(given.output), region_->header.output_magic);
    max_rss_ = setup.max_rss;
    // Their numbers may be those of what this process was given.
    for (FileDescriptor& extra : given.extra) extra = out_of_the_way(std::move(extra));
    given.region = FileDescriptor();
    given.setup = FileDescriptor();
    place_descriptors(given.extra, setup.pass_descriptors);
    apply_setup(setup, region_.address_size());
  } catch (...) {
    const std::string why = describe(std::current_exception());
    char* const target = region_->header.start_error;
    why.copy(target, sizeof(RegionHeader::start_error) - 1);
    ::_exit(cannot_start);
  }
}

bool Worker::has_work() const noexcept {
  // acquire: pairs with the program's release of the tail; the slot is visible.
  return region_->header.submitted_tail.load(std::memory_order_acquire) != head_;
}

bool Worker::retires() const noexcept {
  return region_->header.retire.load(std::memory_order_acquire) != 0;
}

// Empty: the worker shall end.
std::optional<std::uint32_t> Worker::next() {
  while (!has_work()) {
    if (retires()) return std::nullopt;
    if (const WorkerSpin turn; turn && spin_.until([this] { return has_work() || retires(); })) {
      continue;
    }
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
  flush_output();
  std::atomic<std::uint32_t>& asleep = region_->header.asleep;
  asleep.store(1, std::memory_order_relaxed);
  // seq_cst: pairs with the program's fence between writing the tail and reading `asleep`: one of
  // the two sees the other.
  full_fence();
  buffers_.forget_deleted();
  // Others have calls that wait: ask for one.
  if (region_->header.backlog.load(std::memory_order_relaxed) != 0) write_event(0);
  while (!has_work() && !retires() && asleep.load(std::memory_order_acquire) != 0) {
    futex_wait(asleep, 1);
  }
  asleep.store(0, std::memory_order_relaxed);
}

void Worker::run() {
  while (const std::optional<std::uint32_t> index = next()) execute(*index);
  flush_everything();
}

void Worker::execute(std::uint32_t index) {
  Slot& slot = region_->slots[index];
  SlotState state = SlotState::queued;
  const TimePoint started = Clock::now();
  // Relaxed: whoever sees `running` sees it. Of a slot that was recalled nobody reads it.
  slot.began.store(started.time_since_epoch().count(), std::memory_order_relaxed);
  // acquire: pairs with the program's release, so that the arguments are visible.
  if (!slot.state.compare_exchange_strong(state, SlotState::running, std::memory_order_acq_rel)) {
    return;  // recalled
  }
  slot_ = &slot;
  const std::uint32_t channel = slot.channel;
  if (marks_.has_value()) marks_->put(slot.call);
  buffers_.begin_call(slot.call, index);
  call(slot);
  // The function has forked and returned on both sides: the slot is the other one's.
  if (is_copy) ::_exit(0);
  note_time(Clock::now() - started);
  if (marks_.has_value()) marks_->put(0);
  if (max_rss_ != 0) note_growth();
  state = SlotState::running;
  // release: publishes the result.
  if (!slot.state.compare_exchange_strong(state, SlotState::done, std::memory_order_acq_rel)) {
    ::_exit(0);  // the program has decided to end this process
  }
  announce(index, channel);
  buffers_.end_call();
}

void Worker::call(Slot& slot) {
  std::exception_ptr error;
  try {
    const std::span<const std::byte> arguments = request(slot);
    const std::size_t carried = std::min<std::size_t>(slot.carried, arguments.size());
    const VariablesScope variables(
        carried == 0 ? Variables() : carried_variables(arguments.last(carried)));
    WireReader in(arguments.first(arguments.size() - carried), &buffers_);
    // The function of a call that takes no token is ended with this process, so nobody sets it there.
    struct Asking {
      explicit Asking(const Slot& of) noexcept { running_stop = &of.stop; }
      ~Asking() { running_stop = nullptr; }
    } const asking(slot);
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

std::span<const std::byte> Worker::request(const Slot& slot) const {
  const Payload& payload = slot.request;
  const auto size = static_cast<std::size_t>(payload.size);
  if (payload.where == Payload::in_slot) return {slot.bytes, size};
  return {region_.requests() + payload.offset, size};
}

std::span<std::byte> Worker::room(std::size_t size) {
  Payload& payload = slot_->reply;
  payload.size = size;
  payload.where = Payload::in_slot;
  if (size <= inline_size) return {slot_->bytes, size};
  if (size > region_.arena_size()) {
    throw SerializationError(
        fmt::format("the result takes {} bytes, and a worker process can send {} at most (a limit "
                    "of file sizes, RLIMIT_FSIZE, or of addresses, RLIMIT_AS, makes it less)",
                    size, region_.arena_size()));
  }
  std::optional<std::size_t> piece = take_piece(size);
  // The program is slow to read what it has.
  for (; !piece.has_value(); piece = take_piece(size)) std::this_thread::sleep_for(look_again);
  unread_.push_back({slot_, slot_->call, *piece});
  payload.where = Payload::in_arena;
  payload.offset = *piece;
  return {region_.replies() + *piece, size};
}

std::optional<std::size_t> Worker::take_piece(std::size_t size) {
  std::erase_if(unread_, [this](const Reply& reply) {
    // acquire: pairs with the program's release when it has read the result.
    const SlotState state = reply.slot->state.load(std::memory_order_acquire);
    if (state == SlotState::done && reply.slot->call == reply.call) return false;
    replies_.give_back(reply.piece);
    return true;
  });
  return replies_.take(size);
}

void Worker::announce(std::uint32_t index, std::uint32_t channel) {
  Channel& target = region_->channels[channel % channel_count];
  const std::uint32_t tail = target.tail.load(std::memory_order_relaxed);
  target.entries[tail % slot_count].store(index, std::memory_order_relaxed);
  // release: pairs with the program's acquire of the tail.
  target.tail.store(tail + 1, std::memory_order_release);
  std::atomic<std::uint32_t>& finished = region_->header.finished;
  finished.store(finished.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
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
  while (::write(events_[channel].get(), &one, sizeof one) < 0) {
    // Full only if somebody wrote nonsense to it: read it, so that the next write is seen again.
    std::uint64_t count = 0;
    if (errno == EAGAIN && ::read(events_[channel].get(), &count, sizeof count) >= 0) continue;
    if (errno == EAGAIN || errno == EINTR) continue;
    // A function has closed it. The program learns by this process's end what it has done so far.
    ::_exit(lost_descriptors);
  }
}

void Worker::await_event(std::uint32_t channel) {
  while (!events_[channel]) hear_program();
}

void Worker::hear_program() {
  ControlMessage message;
  Received received = receive_message(control_.get(), &message, sizeof message);
  // The program is gone, or a function has closed the socket.
  if (received.size != static_cast<long>(sizeof message)) lost();
  if (message.buffer != 0) {
    return buffers_.arrived(message.buffer, out_of_the_way(std::move(received.descriptors[0])));
  }
  if (received.count != 1) lost();  // there is no number left
  events_[message.channel % channel_count] = out_of_the_way(std::move(received.descriptors[0]));
}

// Before the result is announced: the program, which decides what becomes of this process, sees both.
void Worker::note_growth() noexcept {
  rusage usage{};
  // Cheaper than a look at what it is now, and never less.
  if (::getrusage(RUSAGE_SELF, &usage) == 0 &&
      static_cast<std::uint64_t>(usage.ru_maxrss) * 1024 <= max_rss_) {
    return;
  }
  const std::uint64_t now = private_memory();
  if (now <= max_rss_) return;
  region_->header.large.store(std::max<std::uint32_t>(1, static_cast<std::uint32_t>(now >> 20)),
                              std::memory_order_relaxed);
}

// A running mean over about eight calls; the program decides by it how many calls to send ahead.
void Worker::note_time(std::chrono::nanoseconds length) noexcept {
  const auto now = static_cast<std::int64_t>(
      std::min<std::chrono::nanoseconds::rep>(length.count(), 1'000'000'000));
  mean_ = static_cast<std::uint32_t>(mean_ + (now - static_cast<std::int64_t>(mean_)) / 8);
  region_->header.mean_nanoseconds.store(mean_, std::memory_order_relaxed);
}

}  // namespace

WorkerDescriptors::WorkerDescriptors(std::vector<FileDescriptor> passed, std::uint32_t flags) {
  std::size_t next = 0;
  const auto take = [&] {
    return next < passed.size() ? std::move(passed[next++]) : FileDescriptor();
  };
  region = take();
  control = take();
  setup = take();
  if ((flags & spawn_output) != 0) {
    output[0] = take();
    output[1] = take();
  }
  for (std::uint32_t i = flags >> spawn_extra_shift; i != 0; --i) extra.push_back(take());
  while (next < passed.size()) events.push_back(take());
}

void run_worker(WorkerDescriptors given) noexcept {
  ::pthread_atfork(nullptr, nullptr, [] { is_copy = true; });
  Worker worker(std::move(given));
  worker.run();
  ::_exit(0);
}

}  // namespace siding::detail
