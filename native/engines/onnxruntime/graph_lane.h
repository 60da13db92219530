// A stream of a device with a thread and a session of its own, which replays recorded runs (CUDA graphs).
//
// A run of a network is one launch for each of its operators: at small batches the CPU needs longer to launch them than
// the device to compute them. Recorded once for a batch size, all of them are one launch. ONNX Runtime keeps recordings
// with the thread that made them, and a recording has fixed addresses: so a lane has one thread for everything, and
// buffers on the device that the rows are copied to and from.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "engines/cuda/stream.h"
#include "engines/engine.h"
#include "engines/onnxruntime/graph_plan.h"

namespace subten {

struct GraphLaneOptions {
  std::string model_path;
  OrtParameters parameters;
  int device = 0;
  // For tests with a driver of theirs, whose memory is the host's: the session runs on the CPU.
  bool session_on_cpu = false;
};

class GraphLane {
 public:
  // Starts the thread, which opens the session and records every batch size: seconds. `plan` outlives the lane.
  static Status create(const GraphPlan& plan, GraphLaneOptions options, std::unique_ptr<GraphLane>* out);
  ~GraphLane();
  GraphLane(const GraphLane&) = delete;
  GraphLane& operator=(const GraphLane&) = delete;

  // Starts a batch and returns; the lane's thread ends it. One batch at a time.
  void start(const BatchView& batch, BatchCompletion* completion) noexcept;

 private:
  struct Size {
    uint32_t rows = 0;
    OrtOwned<OrtIoBinding> binding;
    OrtOwned<OrtRunOptions> options;
    std::vector<OrtOwned<OrtValue>> values;
  };
  enum class State : uint32_t { kStarting, kIdle, kWork, kStop };

  GraphLane(const GraphPlan& plan, GraphLaneOptions options) : plan_(plan), options_(std::move(options)) {}
  void run() noexcept;
  State next() noexcept;
  Status open();
  Status open_buffers();
  Status record(Size* size);
  Status bind(const std::vector<GraphTensor>& tensors, const std::vector<DeviceBuffer>& buffers, bool input,
              Size* size);
  Status replay(const Size& size);
  Status compute(const BatchView& batch, BatchCompletion& completion);
  Status take_outputs(const BatchView& batch, BatchCompletion& completion);
  void close() noexcept;

  const GraphPlan& plan_;
  const GraphLaneOptions options_;
  std::thread thread_;
  std::atomic<State> state_{State::kStarting};
  Status opened_;
  BatchView batch_;
  BatchCompletion* completion_ = nullptr;

  // The thread's.
  std::unique_ptr<CudaStream> stream_;
  OrtOwned<OrtMemoryInfo> memory_;
  OrtOwned<OrtSession> session_;
  std::vector<DeviceBuffer> inputs_;
  std::vector<DeviceBuffer> outputs_;
  std::vector<Size> sizes_;
};

}  // namespace subten
