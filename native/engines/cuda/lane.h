// A stream of a device with a thread of its own that runs a model for a fixed set of batch sizes.
//
// Runs are recorded (CUDA graphs) and a recording has fixed addresses: so a lane has buffers on the device that the
// rows are copied to and from, and a batch is padded to the next size. ONNX Runtime keeps recordings with the thread
// that made them, and execution contexts of TensorRT belong to one thread at a time: so a lane has one thread for
// everything.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engines/cuda/lane_stages.h"
#include "engines/cuda/stream.h"
#include "engines/engine.h"

namespace subten {

// A tensor of a whole batch on the device: `rows` times the shape of one row, or the one shape of a model that does not
// batch.
struct LaneTensor {
  std::string name;
  Shape row;  // without the batch dimension
  uint64_t row_bytes = 0;
};

struct LanePlan {
  std::vector<LaneTensor> inputs;
  std::vector<LaneTensor> outputs;
  std::vector<uint32_t> sizes;  // ascending; a batch is padded to the next
  bool batches = false;
};

// Powers of two up to `most`, and `most`.
std::vector<uint32_t> lane_sizes(uint32_t most);
// "1, 2, 4".
std::string lane_sizes_text(const std::vector<uint32_t>& sizes);
// The row of a tensor; false where a dimension beside the batch is unknown, or the row has no bytes.
bool lane_tensor(const TensorSpec& spec, bool batches, LaneTensor* out);
// `rows` rows of the tensor.
Shape lane_shape(const LanePlan& plan, const LaneTensor& tensor, uint32_t rows);

struct LaneBuffers {
  std::vector<DeviceBuffer> inputs;  // as large as the largest size
  std::vector<DeviceBuffer> outputs;
};

// What a lane runs. Opened, used and destroyed on the lane's thread.
class LaneProgram {
 public:
  virtual ~LaneProgram() = default;
  // Makes every size of the plan ready: seconds. Both outlive the program.
  virtual Status open(CudaStream& stream, const LaneBuffers& buffers) = 0;
  // Puts one run of a size (its position in LanePlan::sizes) into the stream.
  virtual Status run(size_t size) = 0;
  // The run reads its inputs at once and not in the order of the stream: only over a driver of the tests.
  virtual bool runs_on_host() const noexcept { return false; }
};

class CudaLane {
 public:
  // Starts the thread, which opens the program. `plan` and `stages` outlive the lane; null: no times are taken.
  static Status create(const LanePlan& plan, int device, std::unique_ptr<LaneProgram> program, LaneStages* stages,
                       std::unique_ptr<CudaLane>* out);
  ~CudaLane();
  CudaLane(const CudaLane&) = delete;
  CudaLane& operator=(const CudaLane&) = delete;

  // Starts a batch and returns; the lane's thread ends it. One batch at a time.
  void start(const BatchView& batch, BatchCompletion* completion) noexcept;

 private:
  enum class State : uint32_t { kStarting, kIdle, kWork, kStop };

  CudaLane(const LanePlan& plan, int device, std::unique_ptr<LaneProgram> program, LaneStages* stages)
      : plan_(plan), device_(device), stages_(stages), program_(std::move(program)) {}
  void run() noexcept;
  State next() noexcept;
  Status open();
  Status open_buffers(const std::vector<LaneTensor>& tensors, std::vector<DeviceBuffer>* buffers);
  Status compute(const BatchView& batch, BatchCompletion& completion);
  Status copy_inputs(const BatchView& batch);
  Status take_outputs(const BatchView& batch, BatchCompletion& completion);
  void close() noexcept;

  const LanePlan& plan_;
  const int device_;
  LaneStages* const stages_;
  std::thread thread_;
  std::atomic<State> state_{State::kStarting};
  Status opened_;
  BatchView batch_;
  BatchCompletion* completion_ = nullptr;

  // The thread's.
  std::unique_ptr<CudaStream> stream_;
  std::unique_ptr<LaneClock> clock_;
  LaneBuffers buffers_;
  std::unique_ptr<LaneProgram> program_;
};

// An instance that is a lane.
class LaneInstance final : public EngineInstance {
 public:
  explicit LaneInstance(std::unique_ptr<CudaLane> lane) noexcept : lane_(std::move(lane)) {}
  void execute(const BatchView& batch, BatchCompletion* completion) noexcept override {
    lane_->start(batch, completion);
  }

 private:
  std::unique_ptr<CudaLane> lane_;
};

}  // namespace subten
