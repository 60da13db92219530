#include "executor/port.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#include "executor/batch.h"
#include "executor/check_inputs.h"
#include "executor/model_core.h"
#include "executor/process_state.h"
#include "metrics/clock.h"
#include "queue/parking.h"

namespace subten {
namespace {

// Partial completions of a port that may be unread at once: the credit of decoupled models.
constexpr uint32_t kParts = 64;
constexpr int64_t kPollWindowNs = 50'000;
constexpr int64_t kLookNs = 1'000;
// Outputs up to this size are worth gathering in a chunk (src/runtime/outputs.ts).
constexpr size_t kSmallBytes = 4096;

// For errors that came without a sentence of their own.
const char* plain_sentence(Code code) noexcept {
  switch (code) {
    case Code::kOutOfMemory:
      return "there was no memory left to run the request or to keep its outputs";
    case Code::kQueueFull:
      return "the tensor memory of the model is full";
    case Code::kDeadlineExceeded:
      return "";  // the environment says which limit it was
    case Code::kModelClosed:
      return "the model was closed while the request ran";
    default:
      return "the engine failed and gave no reason";
  }
}

// Of a number in a record, where JS may have written anything.
int64_t nanoseconds_of(double value) noexcept { return value > 0 && value < 9e18 ? static_cast<int64_t>(value) : 0; }

void add_one(std::atomic<uint64_t>& counter) noexcept {
  // One writer, so load and store do; relaxed: only a count.
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Port::Port(std::shared_ptr<ModelCore> core, std::shared_ptr<PortMemory> memory) noexcept
    : core_(std::move(core)),
      output_count_(static_cast<uint32_t>(core_->spec().outputs.size())),
      stride_(record_stride(output_count_)),
      memory_(std::move(memory)),
      records_(memory_->records),
      staging_(memory_->staging) {}

Port::~Port() = default;

Status Port::create(std::shared_ptr<ModelCore> core, Wake wake, void* context, std::shared_ptr<Port>* out) noexcept {
  try {
    return make(std::move(core), wake, context, out);
  } catch (...) {
    return Status::quiet(Code::kOutOfMemory, "no memory for a port");
  }
}

Status Port::make(std::shared_ptr<ModelCore> core, Wake wake, void* context, std::shared_ptr<Port>* out) {
  std::shared_ptr<Port> port(new Port(std::move(core), std::make_shared<PortMemory>()));
  ModelCore& owner = *port->core_;
  const uint32_t parts = owner.options().decoupled ? kParts : 0;
  const uint32_t slots = owner.slots();
  port->part_base_ = slots;
  port->sync_record_ = slots + parts;
  const uint32_t records = slots + parts + 1;
  port->wake_ = wake;
  port->wake_context_ = context;
  port->part_map_.store(parts == 0 ? 0 : ~uint64_t{0});
  bool mapped = port->ring_.initialise(std::bit_ceil(slots + parts)) && port->records_.map(records * port->stride_) &&
                port->refs_.map(size_t{records} * std::max<uint32_t>(1, port->output_count_)) &&
                port->messages_.map(records) && port->staging_.map(std::max<size_t>(1, owner.spec().inputs.size())) &&
                port->memory_->shown.map(kShown) && port->unread_.map(slots);
  for (Histogram& stage : port->stages) mapped = mapped && stage.initialise();
  if (!mapped) return Status::error(Code::kOutOfMemory, "the system refused memory for a port");
  Status status = owner.add_port(port);
  if (status.is_ok()) *out = std::move(port);
  return status;
}

uint32_t Port::lease(uint32_t* slots, uint32_t* generations, uint32_t limit) noexcept {
  uint32_t count = 0;
  while (count < limit && !closed()) {
    const uint32_t slot = core_->pool().pop();  // model: port.lease
    if (slot == kNoSlot) break;
    core_->owner(slot).store(this, std::memory_order_relaxed);
    slots[count] = slot;
    generations[count++] = RequestWord::generation(core_->descriptor(slot).state.load());
  }
  if (count == 0 && limit > 0 && !closed()) core_->ask_for_slots(this);
  return count;
}

void Port::give_back(const uint32_t* slots, const uint32_t* generations, uint32_t count) noexcept {
  // Before the slots go: whoever finds none from here on asks again.
  std::atomic_ref(shown()[kWanted]).store(0, std::memory_order_relaxed);
  // The last one first, so that the next lease is a run of neighbours again.
  while (count-- > 0) {
    if (idle(slots[count], generations[count])) core_->recycle_to_pool(slots[count]);
  }
}

void Port::ask_for_slots() noexcept {
  // relaxed: the wake orders it; an environment that reads it a drain late is woken again.
  std::atomic_ref(shown()[kWanted]).store(1, std::memory_order_relaxed);
  if (!gate_.enter()) return;
  wake_(wake_context_);
  gate_.leave();
}

bool Port::mine(uint32_t slot, uint32_t generation) const noexcept {
  return slot < core_->slots() && core_->owner(slot).load(std::memory_order_relaxed) == this &&  // model: port.mine
         RequestWord::generation(core_->descriptor(slot).state.load()) == generation;
}

// Nobody else can take a slot out of this state, so it holds until the environment itself submits.
bool Port::idle(uint32_t slot, uint32_t generation) const noexcept {
  return slot < core_->slots() && core_->owner(slot).load(std::memory_order_relaxed) == this && unread_[slot] == 0 &&
         core_->descriptor(slot).state.load() == RequestWord::make(generation, Phase::kIdle, false, 0);
}

// Whether the extents of a request, with one of `bytes` for `input`, fit into an otherwise empty slab.
bool Port::fits(uint32_t slot, uint32_t input, uint64_t bytes, std::string* message) const noexcept {
  uint64_t wanted = 0;
  for (size_t index = 0; index < core_->spec().inputs.size(); ++index) {
    const InputRecord& record = core_->input(slot, index);
    const uint64_t held = record.extent == 0 ? 0 : Slab::extent_bytes(record.capacity);
    if (__builtin_add_overflow(wanted, index == input ? Slab::extent_bytes(bytes) : held, &wanted)) return false;
  }
  if (wanted <= core_->room()) return true;
  try {
    // Home rows take up to a quarter of the slab, and an eighth of that for rounding.
    const uint64_t home = core_->slab().size() - core_->room();
    *message = "a request with tensors of " + std::to_string(wanted) + " bytes never fits into the memory of the " +
               "model: of its " + std::to_string(core_->slab().size()) + " bytes, " + std::to_string(home) +
               " are home rows; load it with memoryMb: " + std::to_string(((wanted + wanted / 2) >> 20) + 1) +
               " or more";
  } catch (...) {
    message->clear();
  }
  return false;
}

Code Port::allocate(uint32_t slot, uint32_t generation, uint32_t input, uint64_t bytes, uint64_t* offset,
                    std::string* message) noexcept {
  if (!idle(slot, generation) || input >= core_->spec().inputs.size()) return Code::kSlotReleased;
  InputRecord& record = core_->input(slot, input);
  if (record.extent == 0 || record.capacity < bytes) {
    if (record.extent != 0) core_->slab().release(record.extent - 1);
    record.extent = 0;
    if (!fits(slot, input, bytes, message)) return Code::kOutOfMemory;
    const uint64_t found = core_->slab().allocate(bytes);
    if (found == Slab::kNowhere) return Code::kQueueFull;
    record.extent = found + 1;
    record.capacity = bytes;
  }
  *offset = record.extent - 1;
  return Code::kOk;
}

void Port::abandon(uint32_t slot, uint32_t generation) noexcept {
  if (idle(slot, generation)) core_->release_extents(slot);
}

void Port::observe_submit(int64_t now_ns) noexcept {
  if (core_->options().wake == WakeMode::kPowersave || process_state().cpus.used < 2) return;
  if (in_flight_ == 0 && drained_ns_ != 0) {
    // A pause says "not a closed loop", however long it is: a cap lets the average recover within a few requests.
    const double think = std::min(static_cast<double>(now_ns - drained_ns_), 200'000.0);
    think_ns_ = think_ns_ > 1e8 ? think : think_ns_ + (think - think_ns_) / 8;
    submit_cpu_ = ::sched_getcpu();
    core_->observe(think_ns_, submit_cpu_);
  }
  poll_since_ns_ = now_ns;
  if (polling_ || !polling_pays(now_ns)) return;
  polling_ = true;  // model: port.poll
  ring_.disarm();
}

bool Port::polling_pays(int64_t now_ns) const noexcept {
  // Two threads that want one processor: whoever polls there keeps the other from its work.
  return core_->run_cpu() != submit_cpu_ && think_ns_ < static_cast<double>(core_->spin_think_limit_ns()) &&
         core_->compute_estimate_ns() < kPollWindowNs && now_ns - poll_since_ns_ < kPollWindowNs &&
         !process_state().spin.exhausted();
}

// Stays for the time that a turn of the loop would take, since a small request ends in less.
Port::Look Port::look() noexcept {
  if (!polling_) return Look::kSleep;
  const int64_t now = monotonic_ns();
  if (in_flight_ > 0) {
    for (int64_t until = now + kLookNs;;) {
      if (ring_.ready()) return Look::kTake;
      if (monotonic_ns() >= until) break;
      pause_cpu();
    }
    if (polling_pays(now)) return Look::kNothing;
  }
  polling_ = false;  // model: port.look.sleep
  return ring_.arm() ? Look::kTake : Look::kSleep;
}

Code Port::submit(const Submission& submission, std::string* message) noexcept {
  if (closed()) return Code::kModelClosed;
  // Before anything of the slot is written: it may be queued or running.
  if (!idle(submission.slot, submission.generation)) return Code::kSlotReleased;
  const Code checked = check_inputs(*core_, submission, staging_.data(), message);
  if (checked != Code::kOk) return checked;

  const BatchSettings& settings = core_->options().batch;
  const uint32_t level = submission.priority == 0 ? settings.default_level : submission.priority;
  const LevelPolicy& policy = settings.levels[level - 1];
  const Code admitted = core_->admit(level);
  if (admitted != Code::kOk) return admitted;
  Descriptor& descriptor = core_->descriptor(submission.slot);
  const int64_t now = monotonic_ns();
  if (core_->slo() != nullptr && !admit_by_due(submission, level, now)) {
    core_->take_admission_back(level);
    return Code::kSloUnreachable;
  }
  descriptor.rows = submission.rows;
  descriptor.port = this;
  descriptor.submit_ns = now;
  descriptor.deadline_ns = submission.deadline_in_ns >= kNever - now ? kNever : now + submission.deadline_in_ns;
  int64_t timeout = policy.timeout_ns;
  if (policy.allow_timeout_override && submission.timeout_in_ns > 0 &&
      (timeout == 0 || submission.timeout_in_ns < timeout)) {
    timeout = submission.timeout_in_ns;
  }
  descriptor.timeout_ns = timeout <= 0 || timeout >= kNever - now ? kNever : timeout;
  descriptor.timeout_delays = policy.timeout_delays ? 1 : 0;
  descriptor.generation = submission.generation;
  descriptor.level = static_cast<uint16_t>(level);
  descriptor.flags = static_cast<uint8_t>((submission.staged ? Descriptor::kStaged : 0) |
                                          (submission.is_explicit ? Descriptor::kExplicit : 0));
  if (!descriptor.state.submit(submission.generation)) {
    core_->take_admission_back(level);
    if (core_->slo() != nullptr) core_->slo()->admission().leave(level, submission.rows, descriptor.due_bucket);
    return Code::kSlotReleased;
  }
  observe_submit(now);
  unread_[submission.slot] = 1;
  // relaxed: the push into the inbox publishes it.
  if (core_->has_pauses()) core_->paused(submission.slot).store(0, std::memory_order_relaxed);
  ++submitted_;
  ++in_flight_;
  add_one(counts.submitted);
  core_->enqueue(submission.slot);
  return Code::kOk;
}

// With an slo: whether the request would end in time. What is left of its time counts, less what the event loop takes
// to read the answer.
bool Port::admit_by_due(const Submission& submission, uint32_t level, int64_t now_ns) noexcept {
  DeadlineScheduler& slo = *core_->slo();
  Descriptor& descriptor = core_->descriptor(submission.slot);
  const int64_t target = core_->options().batch.slo.target_ns;
  const int64_t budget = submission.deadline_in_ns >= kNever - now_ns ? target : submission.deadline_in_ns;
  descriptor.due_ns = now_ns + budget - std::min(loop_lateness_ns(now_ns), budget / 4);
  descriptor.shape_class = core_->shape_class(submission.slot, submission.rows, submission.staged);
  const Admission::Verdict verdict =
      slo.admission().admit(level, submission.rows, descriptor.due_ns, descriptor.shape_class, now_ns);
  descriptor.due_bucket = verdict.bucket;
  if (verdict.admitted) return true;
  predicted_ns_ = verdict.crowded ? -verdict.predicted_ns : verdict.predicted_ns;
  core_->remeasure(now_ns);
  return false;
}

// How long completions have lately waited for this environment: mean and twice the mean deviation (Jacobson, SIGCOMM
// 1988). It is forgotten within a tenth of a second, or a loop that was late once would refuse what it could serve.
int64_t Port::loop_lateness_ns(int64_t now_ns) const noexcept {
  constexpr double kForgottenNs = 1e8;
  const double fresh = 1 - static_cast<double>(now_ns - late_at_ns_) / kForgottenNs;
  return fresh <= 0 ? 0 : static_cast<int64_t>((late_mean_ns_ + 2 * late_deviation_ns_) * fresh);
}

void Port::observe_lateness(double late_ns) noexcept {
  const double off = late_ns - late_mean_ns_;
  late_mean_ns_ += off / 8;
  late_deviation_ns_ += (std::abs(off) - late_deviation_ns_) / 4;
  late_at_ns_ = drained_ns_;
}

Code Port::set_attributes(uint32_t slot, uint32_t generation, std::unique_ptr<RequestAttributes> attributes) noexcept {
  if (closed()) return Code::kModelClosed;
  if (!idle(slot, generation)) return Code::kSlotReleased;
  return core_->set_attributes(slot, std::move(attributes)) ? Code::kOk : Code::kNotSupported;
}

void Port::pause(uint32_t slot, uint32_t generation, bool on) noexcept {
  if (!mine(slot, generation) || !core_->has_pauses()) return;
  core_->paused(slot).store(on ? 1 : 0, std::memory_order_release);
  if (on) return;
  part_word_.fetch_add(1, std::memory_order_release);
  futex_wake(&part_word_, INT32_MAX);
}

bool Port::cancel(uint32_t slot, uint32_t generation, bool late) noexcept {
  if (!mine(slot, generation)) return false;
  const uint32_t level = core_->descriptor(slot).level;
  const Cancelled cancelled = core_->descriptor(slot).state.cancel(generation);
  if (cancelled == Cancelled::kNotThere) return false;
  unread_[slot] = 0;  // no completion comes
  --in_flight_;
  add_one(late ? counts.expired : counts.cancelled);
  if (cancelled == Cancelled::kFromQueue) core_->cancelled_in_queue(level);
  if (cancelled == Cancelled::kFromRun) core_->cancelled_in_run();
  return true;
}

void Port::turned_away(bool late) noexcept {
  if (!late) return add_one(counts.refused);
  add_one(counts.submitted);  // it was taken, to wait for room
  add_one(counts.expired);
}

uint32_t Port::release(uint32_t slot, uint32_t generation) noexcept {
  if (!mine(slot, generation)) return generation;
  Descriptor& descriptor = core_->descriptor(slot);
  if (RequestWord::phase(descriptor.state.load()) == Phase::kIdle) return generation;
  const Phase outcome = RequestWord::phase(descriptor.state.load());
  if (!descriptor.state.drop_js(generation)) return generation;
  // Before its completion was retired: retire_one() finds the outcome there, and gives the input extents back.
  if (unread_[slot] != 0) unread_[slot] = kReleasedEarly + static_cast<uint8_t>(outcome);
  drop_outputs(slot);
  core_->drop_attributes(slot);
  return descriptor.state.recycle();
}

void Port::wake() noexcept {
  if (!ring_.claim_wake() || !gate_.enter()) return;
  wake_(wake_context_);  // model: port.wake
  gate_.leave();
}

uint32_t Port::take(uint32_t limit, ResultChunk* chunk) noexcept {
  retire();
  ring_.disarm();
  if (limit == 0) return 0;  // only retires: the caller comes back for more by itself
  limit = std::min(limit, kTakeLimit);
  do {
    taken_count_ = ring_.take(taken_.data(), limit);
    if (taken_count_ > 0) break;
  } while (!polling_ && ring_.arm());  // model: port.take.polling
  if (taken_count_ > 0) {
    std::memcpy(shown(), taken_.data(), taken_count_ * sizeof(uint32_t));
    if (chunk != nullptr) {
      for (uint32_t i = 0; i < taken_count_; ++i) copy_small_outputs(taken_[i], chunk);
      shown()[kChunkUsed] = static_cast<uint32_t>(chunk->used);
    }
    drained_ns_ = monotonic_ns();
    poll_since_ns_ = drained_ns_;
  }
  return taken_count_;
}

// Where there is no room left they stay in the slab, and JS copies them.
void Port::copy_small_outputs(uint32_t record, ResultChunk* chunk) noexcept {
  if (record >= part_base_) return;
  const Descriptor& descriptor = core_->descriptor(record);
  if ((descriptor.flags & Descriptor::kExplicit) != 0 ||
      RequestWord::phase(descriptor.state.load()) != Phase::kResult) {
    return;
  }
  const auto& specs = core_->spec().outputs;
  for (uint32_t index = 0; index < output_count_; ++index) {
    const OutputRef& ref = refs_[size_t{record} * output_count_ + index];
    if (ref.block == 0 || ref.bytes > kSmallBytes || ref.bytes > chunk->size - chunk->used ||
        specs[index].type == DataType::kBytes) {
      continue;
    }
    std::memcpy(chunk->data + chunk->used, ref.data, ref.bytes);
    OutputRecord& shown_output = output_records(record)[index];
    shown_output.offset = static_cast<double>(chunk->used);
    shown_output.source = static_cast<uint32_t>(OutputSource::kChunk);
    chunk->used = std::min(chunk->size, (chunk->used + ref.bytes + 7) & ~size_t{7});
  }
}

void Port::retire() noexcept {
  if (taken_count_ == 0) return;
  const int64_t now = monotonic_ns();
  for (uint32_t i = 0; i < taken_count_; ++i) retire_one(i, now);  // model: port.retire
  taken_count_ = 0;
  // Think time starts when the caller has been given its results.
  drained_ns_ = now;
}

void Port::retire_one(uint32_t index, int64_t resolved_ns) noexcept {
  const uint32_t record = taken_[index];
  const RecordHeader* const h = header(record);
  if (record >= part_base_) {
    drop_outputs(record);
    // release: pairs with claim_part().
    part_map_.fetch_or(uint64_t{1} << (record - part_base_), std::memory_order_release);  // model: credits.return
    part_word_.fetch_add(1, std::memory_order_release);                                   // model: credits.return.word
    futex_wake(&part_word_, INT32_MAX);                                                   // model: credits.wake
    return;
  }
  const uint8_t unread = unread_[record];
  unread_[record] = 0;
  --in_flight_;
  Descriptor& descriptor = core_->descriptor(record);
  const bool released = unread >= kReleasedEarly;
  const Phase phase =
      released ? static_cast<Phase>(unread - kReleasedEarly) : RequestWord::phase(descriptor.state.load());
  if (phase == Phase::kResult) {
    add_one(counts.succeeded);
    // JS can write there: whatever stands there must be a time before it is a number of nanoseconds.
    const auto span = [](double from, double to) { return nanoseconds_of(to - from); };
    const auto drained = static_cast<double>(drained_ns_);
    stages[0].record(span(h->submit_ns, h->leader_ns));
    stages[1].record(span(h->leader_ns, h->dispatch_ns));
    stages[2].record(span(h->dispatch_ns, h->start_ns));
    stages[3].record(span(h->start_ns, h->end_ns));
    stages[4].record(span(h->end_ns, h->complete_ns));
    stages[5].record(span(h->complete_ns, drained));
    stages[6].record(resolved_ns - drained_ns_);
    stages[7].record(span(h->submit_ns, drained));
    if (core_->slo() != nullptr) {
      observe_lateness(drained - h->complete_ns);
      if (drained_ns_ > descriptor.due_ns + loop_lateness_ns(drained_ns_))
        core_->ended_late.fetch_add(1, std::memory_order_relaxed);
    }
  } else if (phase == Phase::kExpired) {
    add_one(counts.expired);
  } else {
    add_one(counts.failed);
  }
  keep_if_slow(index, phase, resolved_ns);
  if (released) return core_->release_extents(record);
  if ((descriptor.flags & Descriptor::kExplicit) != 0 && phase == Phase::kResult) return;  // until release()
  drop_outputs(record);
  if ((descriptor.flags & Descriptor::kExplicit) != 0) return;
  if (descriptor.state.drop_js(descriptor.generation)) {
    core_->release_extents(record);
    // model: word.recycle.lease
    descriptor.state.recycle();  // JS counts the generation along and keeps the slot in its lease
  }
}

// The flight recorder: a slow request, or one that failed or expired, is kept with what was around it.
void Port::keep_if_slow(uint32_t index, Phase phase, int64_t resolved_ns) noexcept {
  FlightRecorder& flight = core_->flight();
  const int64_t limit = flight.limit_ns();
  const RecordHeader& h = *header(taken_[index]);
  const int64_t total = resolved_ns - nanoseconds_of(h.submit_ns);
  const bool above = slow_.observe(total);
  if (limit < 0 || (phase == Phase::kResult && (limit == 0 ? !above : total < limit))) return;
  const int64_t a_second = limit == 0 ? SlowLog::kASecond : SlowLog::kASecondAsked;
  if (!flight.slow.wants(total, resolved_ns, a_second)) return;
  SlowRequest request;
  request.slot = h.slot;
  request.generation = h.generation;
  request.outcome = phase == Phase::kResult    ? SlowOutcome::kSucceeded
                    : phase == Phase::kExpired ? SlowOutcome::kExpired
                                               : SlowOutcome::kFailed;
  request.loop = loop_;
  request.rows = h.rows;
  request.submit_ns = nanoseconds_of(h.submit_ns);
  request.leader_ns = nanoseconds_of(h.leader_ns);
  request.dispatch_ns = nanoseconds_of(h.dispatch_ns);
  request.start_ns = nanoseconds_of(h.start_ns);
  request.end_ns = nanoseconds_of(h.end_ns);
  request.complete_ns = nanoseconds_of(h.complete_ns);
  request.drained_ns = drained_ns_;
  request.resolved_ns = resolved_ns;
  core_->add_neighbours(static_cast<uint64_t>(nanoseconds_of(h.batch)), &request);
  // Requests of one batch end one after the other, so they lie side by side here, where they are of this port.
  const uint32_t reach = 2 * SlowRequest::kMates;
  const uint32_t first = index > reach ? index - reach : 0;
  const uint32_t last = std::min(taken_count_, index + reach);
  for (uint32_t i = first; i < last && h.batch != 0 && request.mate_count < SlowRequest::kMates; ++i) {
    if (i == index || taken_[i] >= part_base_) continue;
    const RecordHeader& mate = *header(taken_[i]);
    if (mate.batch == h.batch) request.mates[request.mate_count++] = {mate.slot, mate.generation};
  }
  // relaxed: JS reads it on this thread.
  if (flight.slow.keep(&request)) {
    std::atomic_ref(shown()[kSlowKept]).fetch_add(1, std::memory_order_relaxed);
  }
}

// A request of this port that has ended and whose completion, or result, is still held: no native thread touches its
// record. Parts and the record of run_sync() belong to the environment from take() or run_sync() on.
bool Port::readable(uint32_t record) const noexcept {
  if (record == sync_record_) return true;
  if (record >= part_base_) {
    return record < sync_record_ &&
           std::find(taken_.begin(), taken_.begin() + taken_count_, record) != taken_.begin() + taken_count_;
  }
  const uint64_t word = core_->descriptor(record).state.load();
  return core_->owner(record).load(std::memory_order_relaxed) == this && RequestWord::js_hold(word) &&
         !RequestWord::pending(word);
}

const char* Port::error_message(uint32_t record) const noexcept {
  if (record >= part_base_ || !readable(record)) return "";
  if (messages_[record] != nullptr && !messages_[record]->text.empty()) return messages_[record]->text.c_str();
  const RecordHeader* h = reinterpret_cast<const RecordHeader*>(records_.data() + size_t{record} * stride_);
  return h->kind == static_cast<uint32_t>(CompletionKind::kError) ? plain_sentence(static_cast<Code>(h->status)) : "";
}

void Port::drop_parts() noexcept {
  for (uint32_t record = part_base_; record < sync_record_; ++record) drop_outputs(record);
}

const OutputRef* Port::output(uint32_t record, uint32_t index) const noexcept {
  if (index >= output_count_ || !readable(record)) return nullptr;
  const OutputRef* ref = &refs_[size_t{record} * output_count_ + index];
  return ref->data == nullptr ? nullptr : ref;
}

void Port::drop_outputs(uint32_t record) noexcept {
  if (messages_[record] != nullptr) messages_[record]->release();
  messages_[record] = nullptr;
  for (uint32_t index = 0; index < output_count_; ++index) {
    OutputRef& ref = refs_[size_t{record} * output_count_ + index];
    if (ref.block != 0) {
      if (core_->options().poison) std::memset(const_cast<std::byte*>(ref.data), 0xDB, ref.bytes);
      core_->slab().release(ref.block - 1);
    }
    if (ref.engine != nullptr) ref.engine->release();
    ref = {};
  }
}

uint32_t Port::claim_part(uint32_t slot) noexcept {
  const RequestState& state = core_->descriptor(slot).state;
  for (;;) {
    const uint32_t word = part_word_.load(std::memory_order_acquire);     // model: credits.word
    if (!RequestWord::pending(state.load()) || closed()) return kNoSlot;  // model: credits.let_go
    // acquire, as of the word: whoever lets a stream go on changes the word after it.
    const bool paused = core_->paused(slot).load(std::memory_order_acquire) != 0;
    uint64_t map = part_map_.load(std::memory_order_acquire);  // model: credits.map
    while (map != 0 && !paused) {
      const auto part = static_cast<uint32_t>(std::countr_zero(map));
      // model: credits.claim
      if (part_map_.compare_exchange_weak(map, map & ~(uint64_t{1} << part), std::memory_order_acq_rel)) {
        return part_base_ + part;
      }
    }
    // A cancel does not change the word, so look again every millisecond.
    futex_wait(&part_word_, word, monotonic_ns() + 1'000'000);  // model: credits.timer
  }
}

Status Port::create_sync_batch() noexcept {
  try {
    std::unique_ptr<EngineInstance> instance;
    Status created = core_->engine_model().create_instance(&instance);
    if (created.is_ok()) sync_batch_ = std::make_unique<Batch>(core_.get(), 0, std::move(instance));
    return created;
  } catch (...) {
    return Status::quiet(Code::kOutOfMemory, plain_sentence(Code::kOutOfMemory));
  }
}

Code Port::run_sync(const Submission& submission, std::string* message) noexcept {
  if (closed()) return Code::kModelClosed;
  if (!idle(submission.slot, submission.generation)) return Code::kSlotReleased;
  if (core_->engine_model().completion() != Completion::kSync || core_->options().decoupled) {
    *message = Status::quiet(Code::kNotSupported,
                             "inferSync runs on the caller's thread, which this engine or model "
                             "cannot do")
                   .message;
    return Code::kNotSupported;
  }
  const Code checked = check_inputs(*core_, submission, staging_.data(), message);
  if (checked != Code::kOk) return checked;
  release_sync();
  if (!sync_batch_) {
    Status created = create_sync_batch();
    if (!created.is_ok()) {
      *message = std::move(created.message);
      return created.code;
    }
  }
  Descriptor& descriptor = core_->descriptor(submission.slot);
  descriptor.flags = submission.staged ? Descriptor::kStaged : 0;
  descriptor.rows = submission.rows;
  descriptor.generation = submission.generation;
  const int64_t now = monotonic_ns();
  const Code code = sync_batch_->run_sync(this, submission.slot, submission.rows, sync_record_, now);
  if (code != Code::kOk) {
    const std::string& text = sync_batch_->status().message;
    *message = Status::quiet(code, text.empty() ? plain_sentence(code) : text.c_str()).message;
  }
  add_one(counts.submitted);
  add_one(code == Code::kOk ? counts.succeeded : counts.failed);
  if (code == Code::kOk) {
    const RecordHeader* h = header(sync_record_);
    stages[3].record(static_cast<int64_t>(h->end_ns - h->start_ns));
    stages[7].record(static_cast<int64_t>(h->end_ns - h->submit_ns));
  }
  return code;
}

void Port::release_sync() noexcept { drop_outputs(sync_record_); }

void Port::close() noexcept {
  if (closed_.load(std::memory_order_relaxed)) return;
  retire();
  release_sync();
  core_->port_closing();                           // model: port.closing
  closed_.store(true, std::memory_order_seq_cst);  // model: port.close
  gate_.close();
  sync_batch_.reset();
  for (uint32_t slot = 0; slot < core_->slots(); ++slot) {
    // The word first: its load is an acquire that pairs with recycle(), so that a slot which is seen idle after a
    // native thread returned it is seen without its owner as well.
    const uint64_t word = core_->descriptor(slot).state.load();                // model: close.word
    if (core_->owner(slot).load(std::memory_order_relaxed) != this) continue;  // model: close.owner
    if (RequestWord::pending(word)) {
      cancel(slot, RequestWord::generation(word));          // model: close.cancel
    } else if (RequestWord::phase(word) == Phase::kIdle) {  // model: close.idle
      core_->recycle_to_pool(slot);
    }
    // Ended without holds: the native thread that dropped the last one is returning it now. Ended and unread: the ring
    // or the slot holds it until the port is reaped, see ModelCore::port_closed().
  }
  // Only from here on may another thread reap the port, and recycle what is left. seq_cst: see port_finished().
  left_.store(true, std::memory_order_seq_cst);  // model: port.left
  core_->port_closed();
}

}  // namespace subten
