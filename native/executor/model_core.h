// Everything of one loaded model version, shared by every environment that uses it: memory, slots, queue, instances.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "executor/batch.h"
#include "executor/elastic.h"
#include "executor/machine_share.h"
#include "executor/port.h"
#include "flight/flight_recorder.h"
#include "memory/mapped_array.h"
#include "memory/slab.h"
#include "metrics/histogram.h"
#include "queue/descriptor.h"
#include "queue/inbox.h"
#include "queue/leader_token.h"
#include "queue/parking.h"
#include "queue/slot_pool.h"
#include "schedule/batch_policy.h"
#include "schedule/deadline_scheduler.h"
#include "schedule/request_queue.h"
#include "schedule/settings.h"

namespace subten {

// An instance of an asynchronous engine is no thread, only a batch that is under way.
inline constexpr uint32_t kMostAsyncInstances = 512;

enum class WakeMode : uint8_t { kAuto = 0, kLatency, kPowersave };

struct CoreOptions {
  BatchSettings batch;
  uint32_t instances = 1;
  uint32_t count_min = 0;  // instances that are active at least and at most, see elastic.h; 0: not given
  uint32_t count_max = 0;
  int64_t idle_instance_ns = 10'000'000'000;  // an instance above count_min that had nothing to do for so long goes
  double weight = 0;                          // share of the processors, see machine_share.h; 0: takes no part
  WakeMode wake = WakeMode::kAuto;
  uint64_t memory_bytes = uint64_t{64} << 20;
  uint32_t max_queue_size = 4096;
  int64_t slow_limit_ns = 0;  // see FlightRecorder::set_limit()
  bool poison = false;        // debug: fill released memory with 0xDB
  bool decoupled = false;
  std::string latency_table;   // with an slo: what was learned before, see LatencyModel::seed()
  bool deterministic = false;  // see padding.h
  std::string info;            // JSON that attach() hands to other environments
  std::string label;           // model and engine, for notes to people
};

// One input of a request that does not use its home row.
struct InputRecord {
  uint64_t extent;  // offset + 1; 0: none
  uint64_t capacity;
  uint64_t bytes;
  uint32_t rank;
  uint32_t present;
  int64_t shape[kMaxRank];
};

// Set when a core is gone with all its threads: close() waits for it.
struct CoreEnd {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
};

struct BatchCounts {
  std::atomic<uint64_t> count{0}, rows{0}, in_place{0};
  std::array<std::atomic<uint64_t>, kBatchReasons> by_reason{};
};

class ModelCore : public std::enable_shared_from_this<ModelCore> {
 public:
  static Status create(std::unique_ptr<EngineModel> model, CoreOptions options,
                       std::shared_ptr<ModelCore>* out) noexcept;
  ~ModelCore();

  const ModelSpec& spec() const noexcept { return model_->spec(); }
  EngineModel& engine_model() noexcept { return *model_; }
  const CoreOptions& options() const noexcept { return options_; }
  bool batches() const noexcept { return options_.batch.max_batch_size > 0; }
  uint32_t slots() const noexcept { return slot_count_; }
  Slab& slab() noexcept { return *slab_; }
  const std::shared_ptr<Slab>& slab_pointer() const noexcept { return slab_; }
  const std::shared_ptr<CoreEnd>& end() const noexcept { return end_; }
  std::string share();

  Descriptor& descriptor(uint32_t slot) noexcept { return descriptors_[slot]; }
  InputRecord& input(uint32_t slot, size_t index) noexcept { return inputs_[size_t{slot} * input_count_ + index]; }
  std::atomic<Port*>& owner(uint32_t slot) noexcept { return owners_[slot]; }
  SlotPool& pool() noexcept { return pool_; }

  // Slots below this number have home rows: one row of every input, at home_offset(input) + slot * row_bytes(input).
  uint32_t home_slots() const noexcept { return home_slots_; }
  uint64_t home_offset(size_t input) const noexcept { return home_[input]; }
  uint64_t row_bytes(size_t input) const noexcept { return row_bytes_[input]; }
  // Bytes of the slab beside the home rows: what the extents of one request can have when nobody else is there.
  uint64_t room() const noexcept { return room_; }
  std::byte* input_data(uint32_t slot, size_t index) noexcept;
  // What the request in `slot` carries beside its tensors, or null. Set by the environment before it submits; gone when
  // the slot is idle again.
  const RequestAttributes* attributes(uint32_t slot) const noexcept {
    return attributes_.size() > 0 ? attributes_[slot] : nullptr;
  }
  bool set_attributes(uint32_t slot, std::unique_ptr<RequestAttributes> attributes) noexcept;
  void drop_attributes(uint32_t slot) noexcept {
    if (attributes_.size() > 0 && attributes_[slot] != nullptr) set_attributes(slot, nullptr);
  }
  // Streams: the engine waits before it sends the next part of the request in `slot`.
  std::atomic<uint8_t>& paused(uint32_t slot) noexcept { return paused_[slot]; }
  bool has_pauses() const noexcept { return paused_.size() > 0; }
  // Bytes and shape of input `index` of the request in `slot`; false when it is absent.
  bool input_view(uint32_t slot, size_t index, RequestTensor* view) noexcept;

  // Ports. The first one starts the core's threads.
  Status add_port(std::shared_ptr<Port> port);
  // The port is closed; forget it once no native thread uses it. The last port ends the core's threads.
  void port_closed() noexcept;
  void port_closing() noexcept { closing_.fetch_add(1, std::memory_order_seq_cst); }
  // The native side is done with `count` requests of `port`: its last touch of the port.
  void port_finished(Port* port, uint64_t count) noexcept;
  // Asynchronous engines: a batch is in the engine's hands, or its completion is still inside the core. Until all have
  // left, the core is not destroyed.
  void enter() noexcept { inside_.fetch_add(1, std::memory_order_relaxed); }
  // release: pairs with quiet(); the last touch of the core by the engine's thread.
  void leave() noexcept { inside_.fetch_sub(1, std::memory_order_release); }
  bool quiet() const noexcept { return inside_.load(std::memory_order_acquire) == 0; }
  template <typename Visit>
  void each_port(Visit visit) {
    std::lock_guard lock(ports_mutex_);
    for (const auto& port : ports_) visit(*port);
  }
  // `port` found no free slot: the others, idle ones as well, are woken to give back what they do not need.
  void ask_for_slots(Port* port) noexcept;
  // True when one open port is left: closing it ends the core.
  bool last_port() noexcept {
    std::lock_guard lock(ports_mutex_);
    return open_ports_ == 1;
  }
  // From here on stats count anew. Counters have one writer each, their port's thread, so none is set to zero: what
  // stood there is remembered and taken off. Nothing is lost, counted twice, or missed by totals().
  void reset_stats();
  static constexpr uint32_t kOutcomes = 6;
  using Outcomes = std::array<uint64_t, kOutcomes>;  // in the order of PortCounts
  // Of all ports, those that are gone included, since reset_stats(). `counts` has Histogram::kCounters elements, zero.
  Outcomes outcomes() noexcept;
  void stage(uint32_t stage, uint64_t* counts, uint64_t* sum, uint64_t* max) noexcept;
  // The same since the model was loaded, whatever was reset: it only grows. `within[i]`: requests that ended well in at
  // most `thresholds_ns[i]`, to the width of a counter of the histogram, 0.1 %; `measured`: all that ended well.
  Outcomes totals(const std::vector<int64_t>& thresholds_ns, std::vector<uint64_t>* within, uint64_t* measured);
  PortCounts& retired_counts() noexcept { return retired_counts_; }
  // Batches that are in the engine now, and when the oldest of them was formed (0: none).
  struct Running {
    uint32_t batches = 0;
    int64_t since_ns = 0;
  };
  Running running() const noexcept;
  // Instances that may run now.
  uint32_t active_instances() const noexcept { return elastic_ != nullptr ? elastic_->active() : options_.instances; }
  FlightRecorder& flight() noexcept { return flight_; }
  // What instances did between submit and dispatch of a request, and what its batch was: fills that part of it in.
  void add_neighbours(uint64_t batch, SlowRequest* request) const noexcept;

  // Scheduling by due times; null without an slo.
  DeadlineScheduler* slo() noexcept { return slo_.get(); }
  // With an slo: everything is refused and nothing runs, so nothing new is learned. An idle instance then runs a batch
  // of zeros, now and again.
  void remeasure(int64_t now_ns) noexcept;
  uint8_t shape_class(uint32_t slot, uint32_t rows, bool staged) noexcept;
  std::string latency_table() noexcept;
  // Calls `visit(shape_class, rows, estimate)` for what was learned.
  void each_latency(const std::function<void(uint32_t, uint32_t, const LatencyEstimate&)>& visit) noexcept;
  // Requests that were given up in the queue since they could not make it any more.
  std::atomic<uint64_t> given_up{0};
  std::atomic<uint64_t> ended_late{0};  // those that ended well, but after they were due

  // Submitting: admission, then the inbox and a wake. `kOk` means that the request will end.
  Code admit(uint32_t level) noexcept;
  void enqueue(uint32_t slot) noexcept;
  void take_admission_back(uint32_t level) noexcept { queued_[level].fetch_sub(1, std::memory_order_relaxed); }
  // A queued request was cancelled: it is dead weight in the queue until it is removed.
  void cancelled_in_queue(uint32_t level) noexcept;
  // A running request was cancelled: if it was the last that somebody waited for, its run is ended.
  void cancelled_in_run() noexcept;
  // Frees the slot: extents back, next generation, into the pool. For native threads.
  void recycle_to_pool(uint32_t slot) noexcept;
  void release_extents(uint32_t slot) noexcept;

  // The loop of an instance thread.
  void run_instance(uint32_t index) noexcept;
  // Timekeeper: expires, or starts delayed batches of asynchronous engines. Returns when to call again.
  int64_t tick(int64_t now_ns) noexcept;
  // Asynchronous engines: start batches while there are instances and requests. Any thread.
  void pump() noexcept;
  // A batch of an asynchronous engine has ended: its instance is free.
  void give_back(Batch* batch) noexcept;
  // Ends batches in the order in which they were formed, for preserve_ordering.
  void end_in_order(Batch* batch) noexcept;

  // Waking: what submitters tell the instances.
  void observe(double think_ns, int cpu) noexcept {
    think_ns_.store(static_cast<int64_t>(think_ns), std::memory_order_relaxed);
    submit_cpu_.store(cpu, std::memory_order_relaxed);
  }
  // The processor on which the last batch ran. An environment that polls there would only keep the instance off it.
  int run_cpu() const noexcept { return run_cpu_.load(std::memory_order_relaxed); }
  int64_t spin_think_limit_ns() const noexcept { return options_.wake == WakeMode::kLatency ? 100'000 : 12'000; }
  int64_t spin_window_ns() const noexcept { return options_.wake == WakeMode::kLatency ? 200'000 : 50'000; }
  int64_t compute_estimate_ns() const noexcept { return compute_ns_.load(std::memory_order_relaxed); }
  void observe_compute(int64_t nanoseconds) noexcept {
    const int64_t before = compute_ns_.load(std::memory_order_relaxed);
    compute_ns_.store(before + (nanoseconds - before) / 8, std::memory_order_relaxed);
  }

  BatchCounts batch_counts;

 private:
  enum class Formed : uint8_t { kBatch, kWait, kBusy };
  static constexpr uint64_t kAnyEpoch = UINT64_MAX;

  ModelCore(std::unique_ptr<EngineModel> model, CoreOptions options);
  Status check_options();
  Status prepare();
  Formed try_form(Batch* batch, int64_t* wake_ns, uint64_t* epoch) noexcept;
  void drain_inbox(int64_t now_ns) noexcept;
  void drop_dead(uint32_t slot) noexcept;
  void drop_all_dead() noexcept;
  void hand_over() noexcept;
  void expire(int64_t now_ns) noexcept;
  void end_expired(uint32_t slot, int64_t now_ns) noexcept;
  Status prepare_slo();
  void tell_instances() noexcept;
  void wait_for_more(int64_t wake_ns, uint32_t rows_wanted) noexcept;
  void begin_batch(Batch* batch, int64_t now_ns) noexcept;
  void take_into(Batch* batch, uint32_t slot) noexcept;
  bool form_by_due(Batch* batch, int64_t now_ns, int64_t* wake_ns) noexcept;
  template <typename Work>
  bool lead(Work work) noexcept;
  void learn_from(Batch* batch, int64_t now_ns) noexcept;
  void leave_admission(uint32_t slot) noexcept;
  void measure_again(Batch* batch) noexcept;
  bool form(Batch* batch, int64_t now_ns, int64_t* wake_ns) noexcept;
  bool compatible(uint32_t a, uint32_t b) noexcept;
  bool spin_for_work(uint64_t epoch) noexcept;
  void request_tick(int64_t when_ns) noexcept;
  void reap_ports() noexcept;
  std::shared_ptr<Port> reap_one() noexcept;
  Status start_threads();
  void pump_all() noexcept;
  uint32_t claim_instance() noexcept;
  // elastic.cc
  Status prepare_counts(uint32_t* begin);
  Status create_instances(uint32_t begin);
  void tell_of_failure(const Status& status) const noexcept;
  void note_backlog(int64_t now_ns) noexcept;
  void shrink(int64_t now_ns) noexcept;
  bool sleep_until_needed(uint32_t index) noexcept;
  void swap_instance(uint32_t index, std::unique_ptr<EngineInstance> instance) noexcept;
  // machine_share.cc
  Status join_share();
  void take_place(MachineShare::Turn* turn) noexcept;
  bool work_waits() const noexcept { return !inbox_.empty() || backlog_.load(std::memory_order_relaxed) > 0; }

  std::unique_ptr<EngineModel> model_;
  CoreOptions options_;
  size_t input_count_ = 0;
  uint32_t slot_count_ = 0;
  std::shared_ptr<Slab> slab_;
  MappedArray<Descriptor> descriptors_;
  MappedArray<InputRecord> inputs_;
  MappedArray<std::atomic<Port*>> owners_;
  MappedArray<RequestAttributes*> attributes_;  // by slot, where the engine takes any
  MappedArray<std::atomic<uint8_t>> paused_;    // by slot, where the model is decoupled
  SlotPool pool_;
  uint32_t home_slots_ = 0;
  uint64_t room_ = 0;
  std::vector<uint64_t> home_;
  std::vector<uint64_t> row_bytes_;

  Inbox inbox_;
  LeaderToken token_;
  Parking parking_;
  RequestQueue queue_;  // leader only
  std::unique_ptr<DeadlineScheduler> slo_;
  std::atomic<bool> remeasure_{false};
  std::atomic<int64_t> learned_ns_{0};            // when a batch last told how long it takes
  uint64_t next_ticket_ = 0;                      // leader only
  alignas(64) std::atomic<uint32_t> backlog_{0};  // requests in the ordered queue, as the last leader left it
  std::atomic<uint64_t> epoch_{0};                // raised by each leader
  std::atomic<uint32_t> dead_{0};                 // cancelled requests that are still linked
  std::atomic<int64_t> delay_until_{0};           // a batch waits until then for more; 0: none waits
  std::atomic<int64_t> rows_wanted_{0};           // rows that would complete it
  std::atomic<int64_t> due_ns_{INT64_MAX};        // when the timekeeper must call tick()
  std::vector<std::atomic<uint32_t>> queued_;     // live requests by level, for admission

  std::vector<std::unique_ptr<Batch>> batches_;  // one an instance
  // Asynchronous engines: a bit an instance.
  std::array<std::atomic<uint64_t>, kMostAsyncInstances / 64> free_instances_{};
  std::atomic<uint32_t> inside_{0};  // see enter()
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Elastic> elastic_;  // where the number of instances changes
  MachineShare* share_ = nullptr;     // where the model has a weight
  uint32_t share_member_ = 0;

  std::mutex order_mutex_;  // preserve_ordering only
  uint64_t order_next_ = 0;
  std::vector<Batch*> order_waiting_;

  std::atomic<int64_t> asked_ns_{0};  // when ports were last asked for slots

  std::mutex ports_mutex_;
  std::vector<std::shared_ptr<Port>> ports_;
  uint32_t open_ports_ = 0;
  bool started_ = false;
  std::shared_ptr<ModelCore> self_;   // asynchronous engines: while there are ports; synchronous: the threads hold it
  std::atomic<uint32_t> closing_{0};  // ports that are closed and not reaped yet
  PortCounts retired_counts_;
  std::array<Histogram, kStages> retired_stages_;  // of ports that are gone
  // What stood there when stats were reset last; by stage kCounters counters and a sum.
  Outcomes reset_outcomes_{};
  MappedArray<uint64_t> reset_stages_;
  std::array<uint64_t, kStages> reset_sums_{};
  Outcomes outcomes_ever() noexcept;                                                               // ports_mutex_ held
  void stage_ever(uint32_t stage, uint64_t* counts, uint64_t* sum, uint64_t* max) const noexcept;  // the same
  FlightRecorder flight_;
  std::string share_id_;

  alignas(64) std::atomic<int64_t> think_ns_{INT64_MAX};
  std::atomic<int> submit_cpu_{-1};
  std::atomic<int> run_cpu_{-1};
  alignas(64) std::atomic<int64_t> compute_ns_{0};
  std::shared_ptr<CoreEnd> end_ = std::make_shared<CoreEnd>();
};

}  // namespace subten
