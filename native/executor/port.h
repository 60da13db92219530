// A port: one environment's connection to one model core. It leases slots, submits, and reads completions.
//
// Methods marked "environment" are called on the environment's own thread only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "executor/record.h"
#include "executor/shared_buffer.h"
#include "flight/slow_log.h"
#include "flight/slow_threshold.h"
#include "memory/mapped_array.h"
#include "memory/status.h"
#include "metrics/histogram.h"
#include "queue/completion_ring.h"
#include "queue/descriptor.h"
#include "queue/wake_gate.h"

namespace subten {

class ModelCore;
class Batch;
struct RequestAttributes;

inline constexpr uint32_t kStages = 8;

// Counts of one port; written by its environment only, read by any. They only grow.
struct PortCounts {
  std::atomic<uint64_t> submitted{0}, succeeded{0}, failed{0}, cancelled{0}, expired{0}, refused{0};
};

struct Submission {
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint32_t rows = 1;
  uint32_t priority = 0;
  int64_t deadline_in_ns = kNever;
  int64_t timeout_in_ns = 0;  // 0: the level's own
  bool staged = false;
  bool is_explicit = false;
};

// What the environment's JS has views on beside the slab. It holds it as well: its views may outlive the port.
struct PortMemory {
  MappedArray<std::byte> records;
  MappedArray<StagedInput> staging;
  MappedArray<uint32_t> shown;  // a copy of the record numbers of the last take()
};

class Port {
 public:
  using Wake = void (*)(void* context);
  static constexpr uint32_t kTakeLimit = 1024;

  // `wake` is called by native threads, behind the gate, when the ring goes from empty to not empty.
  static Status create(std::shared_ptr<ModelCore> core, Wake wake, void* context, std::shared_ptr<Port>* out) noexcept;
  ~Port();

  ModelCore& core() const noexcept { return *core_; }
  const std::shared_ptr<ModelCore>& core_pointer() const noexcept { return core_; }

  // --- environment ---------------------------------------------------------------------------------------------
  // Up to `limit` free slots of the core, with their generations.
  // None is free: the other ports are asked for those that they do not need.
  uint32_t lease(uint32_t* slots, uint32_t* generations, uint32_t limit) noexcept;
  // Returns leased slots that are idle to the core, as another port may need them.
  void give_back(const uint32_t* slots, const uint32_t* generations, uint32_t count) noexcept;

  // Memory for input `input` of an idle slot; kQueueFull when the slab is full now, kOutOfMemory with a sentence in
  // `message` when the request does not fit however long one waits. Replaces an earlier extent if it is small.
  Code allocate(uint32_t slot, uint32_t generation, uint32_t input, uint64_t bytes, uint64_t* offset,
                std::string* message) noexcept;
  // Gives the extents of an idle slot back.
  void abandon(uint32_t slot, uint32_t generation) noexcept;

  // Checks and admits one request. `message` says what was wrong, for errors other than the plain refusals.
  Code submit(const Submission& submission, std::string* message) noexcept;

  // `late`: its time was up, which counts as expired, not as cancelled.
  bool cancel(uint32_t slot, uint32_t generation, bool late = false) noexcept;
  // Counts a request that its caller was refused, or whose time was up (`late`) while it waited to be submitted. The
  // environment counts them: a submit that finds no room may be tried again.
  void turned_away(bool late) noexcept;
  // What the next submission of an idle slot carries beside its tensors; kNotSupported where the engine takes nothing.
  Code set_attributes(uint32_t slot, uint32_t generation, std::unique_ptr<RequestAttributes> attributes) noexcept;
  // Streams: while it is paused the engine waits before it sends the next part of the request.
  void pause(uint32_t slot, uint32_t generation, bool on) noexcept;
  // Drops the results of an explicit slot that has ended, so that it can be submitted again: its new generation. The
  // old one when there is nothing to drop. Its input extents stay.
  uint32_t release(uint32_t slot, uint32_t generation) noexcept;

  // Memory of the environment where take() leaves small outputs: JS then needs one view each, and no copying.
  struct ResultChunk {
    std::byte* data = nullptr;
    size_t size = 0;
    size_t used = 0;
  };
  // Retires what the last take returned and returns how many completions came next: their records in taken(). When
  // there is none it arms the wake, unless the environment polls.
  uint32_t take(uint32_t limit, ResultChunk* chunk = nullptr) noexcept;
  const uint32_t* taken() const noexcept { return taken_.data(); }
  // The same for JS, which may write there.
  uint32_t* shown() noexcept { return memory_->shown.data(); }
  // Behind the records there: not 0 when another port has asked for slots; and what is used of the chunk of results.
  static constexpr uint32_t kWanted = kTakeLimit;
  static constexpr uint32_t kChunkUsed = kTakeLimit + 1;
  // How many slow requests of this port were kept so far.
  static constexpr uint32_t kSlowKept = kTakeLimit + 2;
  static constexpr uint32_t kShown = kTakeLimit + 3;
  // Number of this environment's event loop in HostWatch.
  void set_loop(uint32_t loop) noexcept { loop_ = loop; }
  uint32_t loop() const noexcept { return loop_; }
  // The message of an error record of the current take; "" for any other.
  const char* error_message(uint32_t record) const noexcept;
  // An output of a record of the current take, of a claimed slot that has its result, or of run_sync(); else null.
  const OutputRef* output(uint32_t record, uint32_t index) const noexcept;

  // True after a submit: instead of sleeping until a wake, the environment should call look() in every turn of its
  // loop, until that answers kSleep.
  bool polling() const noexcept { return polling_; }
  enum class Look : uint8_t { kNothing, kTake, kSleep };
  Look look() noexcept;

  // Runs one request on this thread, past the queue. The result is in record sync_record() until release_sync().
  Code run_sync(const Submission& submission, std::string* message) noexcept;
  uint32_t sync_record() const noexcept { return sync_record_; }
  void release_sync() noexcept;

  // Takes nothing new, cancels what is queued, orphans what runs; wake is not called any more.
  void close() noexcept;
  uint64_t in_flight() const noexcept { return in_flight_; }

  StagedInput* staging() noexcept { return staging_.data(); }
  std::byte* records() noexcept { return records_.data(); }
  size_t records_bytes() const noexcept { return records_.size(); }
  const std::shared_ptr<PortMemory>& memory() const noexcept { return memory_; }

  // --- native threads ------------------------------------------------------------------------------------------
  RecordHeader* header(uint32_t record) noexcept {
    return reinterpret_cast<RecordHeader*>(records_.data() + size_t{record} * stride_);
  }
  OutputRecord* output_records(uint32_t record) noexcept { return reinterpret_cast<OutputRecord*>(header(record) + 1); }
  OutputRef* outputs(uint32_t record) noexcept { return refs_.data() + size_t{record} * output_count_; }
  void set_message(uint32_t record, SharedMessage* message) noexcept { messages_[record] = message; }

  // Puts a record into the ring; call wake() after the last one.
  void push(uint32_t record) noexcept { ring_.push(record); }
  void wake() noexcept;
  // Another port is out of slots: asks this one's environment to give back what it does not need.
  void ask_for_slots() noexcept;
  // The native side is done with `count` requests of this port: the last touch.
  // model: port.finished
  void finished(uint64_t count) noexcept { finished_.fetch_add(count, std::memory_order_seq_cst); }
  // Gives back what record `record` holds: outputs and an error message.
  void drop_outputs(uint32_t record) noexcept;
  void drop_parts() noexcept;

  // A record for a partial completion of the request in `slot`, or kNoSlot when it ended while it waited: for a record
  // to be free, or for the environment that has paused it.
  uint32_t claim_part(uint32_t slot) noexcept;
  uint32_t part_base() const noexcept { return part_base_; }

  // The environment has left it, and no native thread will touch it again.
  // seq_cst: pairs with close() and port_finished(); the slots are done with by then, and submitted_ changes no more.
  bool reapable() const noexcept {
    // model: port.reapable
    return left_.load(std::memory_order_seq_cst) && finished_.load(std::memory_order_seq_cst) == submitted_;
  }
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  // After a submit that was refused with kSloUnreachable: how long it would have taken. Negative: it would have ended
  // in time, but others that were admitted before would not.
  int64_t predicted_ns() const noexcept { return predicted_ns_; }
  // What the event loop takes to read an answer, as lately seen.
  int64_t loop_lateness_ns(int64_t now_ns) const noexcept;
  PortCounts counts;
  std::array<Histogram, kStages> stages;

 private:
  Port(std::shared_ptr<ModelCore> core, std::shared_ptr<PortMemory> memory) noexcept;
  static Status make(std::shared_ptr<ModelCore> core, Wake wake, void* context, std::shared_ptr<Port>* out);
  bool mine(uint32_t slot, uint32_t generation) const noexcept;
  bool idle(uint32_t slot, uint32_t generation) const noexcept;
  bool readable(uint32_t record) const noexcept;
  bool fits(uint32_t slot, uint32_t input, uint64_t bytes, std::string* message) const noexcept;
  void copy_small_outputs(uint32_t record, ResultChunk* chunk) noexcept;
  void retire() noexcept;
  void retire_one(uint32_t index, int64_t resolved_ns) noexcept;
  void keep_if_slow(uint32_t index, Phase phase, int64_t resolved_ns) noexcept;
  void observe_submit(int64_t now_ns) noexcept;
  bool admit_by_due(const Submission& submission, uint32_t level, int64_t now_ns) noexcept;
  void observe_lateness(double late_ns) noexcept;
  bool polling_pays(int64_t now_ns) const noexcept;
  Status create_sync_batch() noexcept;

  std::shared_ptr<ModelCore> core_;
  uint32_t output_count_;
  size_t stride_;
  Wake wake_ = nullptr;
  void* wake_context_ = nullptr;
  WakeGate gate_;
  CompletionRing ring_;
  std::shared_ptr<PortMemory> memory_;
  MappedArray<std::byte>& records_;
  MappedArray<OutputRef> refs_;
  MappedArray<SharedMessage*> messages_;
  MappedArray<StagedInput>& staging_;
  // A slot's completion is on the way or not retired yet: it must not be submitted again, even by an environment that
  // released it too early, since a record is in the ring once.
  MappedArray<uint8_t> unread_;  // 0: none; 1: one; kReleasedEarly + its outcome: one of a slot that was released
  static constexpr uint8_t kReleasedEarly = 2;
  std::array<uint32_t, kTakeLimit> taken_{};
  uint32_t taken_count_ = 0;
  uint32_t part_base_ = 0;
  uint32_t sync_record_ = 0;
  std::atomic<uint64_t> part_map_{0};  // free partial records
  std::atomic<uint32_t> part_word_{0};
  std::unique_ptr<Batch> sync_batch_;

  uint64_t submitted_ = 0;
  uint64_t in_flight_ = 0;
  std::atomic<uint64_t> finished_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> left_{false};  // close() is done with the slots

  // Waking, see docs/architecture.md: think time of the submitter, nothing in flight.
  double think_ns_ = 1e9;
  int64_t drained_ns_ = 0;
  int64_t poll_since_ns_ = 0;
  // With an slo.
  double late_mean_ns_ = 0, late_deviation_ns_ = 0;
  int64_t late_at_ns_ = 0;
  int64_t predicted_ns_ = 0;
  SlowThreshold slow_;
  uint32_t loop_ = 0;
  bool polling_ = false;  // the environment looks by itself: the wake stays disarmed
  int submit_cpu_ = -2;   // processor of this environment at its last submit with nothing in flight
};

}  // namespace subten
