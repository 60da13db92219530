// One batch on its way through an engine: gathers the inputs, takes the outputs, and ends each of its requests.
// There is one Batch an instance; it is reused, so that a run allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engines/engine.h"
#include "executor/crash_note.h"
#include "executor/shared_buffer.h"
#include "flight/batch_log.h"
#include "flight/thread_meter.h"
#include "memory/mapped_array.h"
#include "schedule/batch_policy.h"

namespace subten {

class ModelCore;
class Port;

class Batch final : public BatchCompletion {
 public:
  Batch(ModelCore* core, uint32_t index, std::unique_ptr<EngineInstance> instance);
  ~Batch();

  // Leader: fills the batch.
  void begin(int64_t dispatch_ns) noexcept;
  void add(uint32_t slot, uint32_t rows) noexcept;
  void seal(BatchReason reason, uint64_t ticket) noexcept {
    reason_ = reason;
    ticket_ = ticket;
  }

  // Gathers the inputs and runs the engine. For a synchronous engine every request has ended on return (with
  // preserve_ordering: has been handed on to do so).
  void run() noexcept;
  // Ends every request of the batch: records, rings, wakes.
  void end_requests() noexcept;

  // One request on the caller's thread, past the queue; its result is written to `record` of `port`.
  Code run_sync(Port* port, uint32_t slot, uint32_t rows, uint32_t record, int64_t submit_ns) noexcept;
  const Status& status() const noexcept { return status_; }

  uint32_t index() const noexcept { return index_; }
  // When the batch that runs was formed, or 0. Any thread.
  int64_t running_since() const noexcept { return running_since_.load(std::memory_order_relaxed); }
  uint64_t ticket() const noexcept { return ticket_; }
  // Number of the batch that runs, for the flight recorder; goes with running_since().
  uint64_t running_number() const noexcept { return running_number_.load(std::memory_order_relaxed); }
  // The instance has nothing of the batch to do any more: what its thread uses is counted from about here.
  void rest() noexcept;
  uint32_t request_count() const noexcept { return static_cast<uint32_t>(slots_.size()); }
  // Null while the place of this batch is not in use, see elastic.h.
  EngineInstance* instance() noexcept { return instance_.get(); }
  void swap_instance(std::unique_ptr<EngineInstance>* instance) noexcept { instance_.swap(*instance); }

  // BatchCompletion
  void* allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override;
  void adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept override;
  void set_shape(size_t index, std::span<const int64_t> shape) noexcept override;
  void* allocate_for(size_t request, size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override;
  void adopt_for(size_t request, size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept override;
  bool part(size_t request) noexcept override;
  void fail(size_t request, Status status) noexcept override;
  bool abandoned() const noexcept override;
  void mark_start() noexcept override;
  void mark_end() noexcept override;
  void done(Status status) noexcept override;

  // With an slo: the class of shapes of the batch, and what it took, for the next leader that has this batch in hand.
  struct Observation {
    uint32_t shape_class = 0;
    uint32_t rows = 0;  // 0: none
    int64_t latency_ns = 0;
  };
  void set_shape_class(uint32_t shape_class) noexcept { shape_class_ = shape_class; }
  uint32_t rows() const noexcept { return total_rows_; }
  uint32_t shape_class() const noexcept { return shape_class_; }
  void observed(uint32_t shape_class, uint32_t rows, int64_t latency_ns) noexcept {
    observation_ = {shape_class, rows, latency_ns};
  }
  Observation take_observation() noexcept { return std::exchange(observation_, {}); }

  // preserve_ordering: set once the batch's requests have ended, for the instance that waits to reuse it.
  std::atomic<uint32_t> ended{0};

 private:
  // An output of the whole batch, or of one request.
  struct Output {
    uint64_t block = 0;  // slab extent + 1
    SharedBuffer* engine = nullptr;
    std::byte* data = nullptr;
    uint64_t bytes = 0;
    uint32_t rank = 0;
    int64_t shape[kMaxRank] = {};
    // All zero is a valid, empty output: request_outputs_ relies on it.
    bool set() const noexcept { return block != 0 || engine != nullptr; }
  };

  bool gather() noexcept;
  bool gather_input(size_t index) noexcept;
  bool pad_input(size_t index) noexcept;
  void* allocate_output(Output* output, std::span<const int64_t> shape, uint64_t bytes) noexcept;
  Status adopt_output(Output* output, std::span<const int64_t> shape, BufferHandle buffer) noexcept;
  void drop(Output* output) noexcept;
  Output& request_output(size_t request, size_t index) noexcept {
    return request_outputs_[request * outputs_.size() + index];
  }
  Status check_outputs() noexcept;
  void write_record(Port* port, uint32_t record, size_t request, uint64_t first_row) noexcept;
  void write_output(Port* port, uint32_t record, size_t request, size_t index, uint64_t first_row) noexcept;
  void write_header(Port* port, uint32_t record, size_t request) noexcept;
  void write_error(Port* port, uint32_t record, size_t request) noexcept;
  void drop_outputs() noexcept;
  void end_request(size_t request, uint64_t first_row) noexcept;
  void log() noexcept;

  ModelCore* core_;
  const uint32_t index_;
  std::unique_ptr<EngineInstance> instance_;
  std::vector<uint32_t> slots_;
  std::vector<uint32_t> rows_;
  std::vector<Status> failures_;  // by request; looked at when some_failed_
  bool some_failed_ = false;
  std::vector<RequestTensor> tensors_;  // request-major
  std::unique_ptr<bool[]> present_;
  std::vector<RequestView> views_;
  std::vector<BatchTensor> inputs_;
  std::vector<MappedArray<std::byte>> staging_;
  std::vector<Output> outputs_;
  MappedArray<Output> request_outputs_;  // by request and output; looked at when some_own_
  bool some_own_ = false;
  Status status_;
  SharedMessage* message_ = nullptr;  // of status_, shared by the requests
  uint32_t total_rows_ = 0;
  uint32_t engine_rows_ = 0;  // what the engine sees: more than total_rows_ where the batch is filled up, see padding.h
  BatchReason reason_ = BatchReason::kIdle;
  uint64_t ticket_ = 0;
  uint32_t shape_class_ = 0;
  Observation observation_;
  bool in_place_ = false;
  std::atomic<int64_t> running_since_{0};
  std::atomic<uint64_t> running_number_{0};
  ThreadMeter meter_;  // synchronous engines: of the instance's thread
  RunNote note_;
  int64_t dispatch_ns_ = 0, start_ns_ = 0, end_ns_ = 0, complete_ns_ = 0;
  Port* sync_port_ = nullptr;
  Port* last_port_ = nullptr;  // records were pushed to it and it was not woken yet
  uint64_t last_port_count_ = 0;
};

}  // namespace subten
