// One request of Triton's that is under way at a time: a whole batch, or a single request of a model for which Triton
// batches or that is decoupled.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "engines/engine.h"
#include "engines/triton/request_switch.h"
#include "engines/triton/triton_model.h"

namespace subten {

class TritonInstance final : public EngineInstance {
 public:
  explicit TritonInstance(TritonModel* model) : model_(model) {}
  ~TritonInstance() override;

  void execute(const BatchView& batch, BatchCompletion* completion) noexcept override;
  void terminate() noexcept override;
  // While no run is on: deletes the request that is kept for the next.
  void drop_request() noexcept;

  // Callbacks of Triton, on its threads; `userp` is the instance.
  static TRITONSERVER_Error* allocate_output(TRITONSERVER_ResponseAllocator* allocator, const char* name, size_t bytes,
                                             TRITONSERVER_MemoryType wanted, int64_t wanted_id, void* userp,
                                             void** buffer, void** buffer_userp, TRITONSERVER_MemoryType* actual,
                                             int64_t* actual_id) noexcept;
  static TRITONSERVER_Error* release_output(TRITONSERVER_ResponseAllocator* allocator, void* buffer, void* buffer_userp,
                                            size_t bytes, TRITONSERVER_MemoryType type, int64_t id) noexcept;

 private:
  // Who has to be done with the request before it can be used again: the request, the last response, the trace.
  static constexpr uint32_t kRequest = 1;
  static constexpr uint32_t kResponse = 2;
  static constexpr uint32_t kTrace = 4;

  // An input as request_ has it.
  struct Input {
    bool present = false;
    Shape shape;
    const void* data = nullptr;
    uint64_t bytes = 0;
  };

  static void on_release(TRITONSERVER_InferenceRequest* request, uint32_t flags, void* userp) noexcept;
  static void on_response(TRITONSERVER_InferenceResponse* response, uint32_t flags, void* userp) noexcept;
  static void on_trace(TRITONSERVER_InferenceTrace* trace, TRITONSERVER_InferenceTraceActivity activity,
                       uint64_t timestamp_ns, void* userp) noexcept;
  static void on_trace_release(TRITONSERVER_InferenceTrace* trace, void* userp) noexcept;

  Status prepare(const BatchView& batch);
  Status make_request();
  Status set_inputs(const BatchView& batch);
  Status set_attributes(const RequestView& request);
  void start_trace() noexcept;
  void take_response(TRITONSERVER_InferenceResponse* response) noexcept;
  Status take_output(TRITONSERVER_InferenceResponse* response, uint32_t index) noexcept;
  void leave(uint32_t who) noexcept;
  void record_stages() noexcept;
  void cancel() noexcept;

  TritonModel* const model_;
  TRITONSERVER_InferenceRequest* request_ = nullptr;
  // The request cannot be cleaned for the next one: it has parameters, or belonged to a sequence.
  bool spent_ = false;
  bool timeout_set_ = false;
  bool priority_set_ = false;
  bool id_set_ = false;
  std::vector<Input> inputs_;
  BatchCompletion* completion_ = nullptr;
  TRITONSERVER_InferenceTrace* trace_ = nullptr;
  std::array<uint64_t, 7> times_{};
  std::atomic<uint32_t> waiting_{0};  // kRequest | kResponse | kTrace
  RequestSwitch switch_;
  // Responses of a decoupled model may come from several threads; an executor's completion takes one at a time.
  std::mutex mutex_;
  Status status_;
  bool answered_ = false;  // a response has come
  bool gone_ = false;      // the request has ended for its caller: no more parts
  uint32_t turn_ = 0;      // counts runs, to trace some
};

}  // namespace subten
