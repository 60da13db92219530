#include "engines/onnxruntime/graph_lane.h"

#include <pthread.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <string>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"
#include "metrics/clock.h"

namespace subten {
namespace {

constexpr const char* kGraphId = "gpu_graph_id";
constexpr const char* kNoSynchronize = "disable_synchronize_execution_providers";
// How long a lane looks for the next batch before it sleeps: a wake-up takes about as long.
constexpr int64_t kSpinNs = 50'000;

// While one lane records, calls of others that the driver cannot record would spoil it.
std::mutex& recording() noexcept {
  alignas(std::mutex) static std::byte storage[sizeof(std::mutex)];
  static std::mutex* const instance = new (storage) std::mutex;
  return *instance;
}

void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Status failed(const char* what, const OrtError& error) {
  return Status::error(Code::kEngineFailed, std::string(what) + ": " + error.message());
}

}  // namespace

Status GraphLane::create(const GraphPlan& plan, GraphLaneOptions options, std::unique_ptr<GraphLane>* out) {
  std::unique_ptr<GraphLane> lane(new GraphLane(plan, std::move(options)));
  lane->thread_ = std::thread([self = lane.get()] { self->run(); });
  // Acquire pairs with the release in run(): `opened_` is written then.
  lane->state_.wait(State::kStarting, std::memory_order_acquire);
  if (!lane->opened_.is_ok()) return lane->opened_;
  *out = std::move(lane);
  return Status::ok();
}

GraphLane::~GraphLane() {
  if (!thread_.joinable()) return;
  state_.store(State::kStop, std::memory_order_release);  // pairs with the acquire in next()
  state_.notify_one();
  thread_.join();
}

void GraphLane::start(const BatchView& batch, BatchCompletion* completion) noexcept {
  batch_ = batch;
  completion_ = completion;
  state_.store(State::kWork, std::memory_order_release);  // pairs with the acquire in next()
  state_.notify_one();
}

// What to do next, once there is something.
GraphLane::State GraphLane::next() noexcept {
  const int64_t until = monotonic_ns() + kSpinNs;
  while (true) {
    const State state = state_.load(std::memory_order_acquire);
    if (state != State::kIdle) return state;
    if (monotonic_ns() >= until) break;
    for (int i = 0; i < 32; ++i) pause_cpu();
  }
  state_.wait(State::kIdle, std::memory_order_acquire);
  return state_.load(std::memory_order_acquire);
}

void GraphLane::run() noexcept {
  pthread_setname_np(pthread_self(), "subten-cuda");
  try {
    opened_ = open();
  } catch (const std::bad_alloc&) {
    opened_ = Status::quiet(Code::kOutOfMemory, "no memory to record the model");
  }
  state_.store(State::kIdle, std::memory_order_release);  // pairs with the acquire in create()
  state_.notify_one();
  while (next() == State::kWork) {
    const BatchView batch = batch_;
    BatchCompletion* completion = completion_;
    Status status;
    try {
      status = completion->abandoned() ? Status::quiet(Code::kEngineFailed, "nobody waits for the run")
                                       : compute(batch, *completion);
    } catch (const std::bad_alloc&) {
      status.code = Code::kOutOfMemory;
    }
    // The next batch may come while done() runs. Only start() writes kWork, and not before done().
    state_.store(State::kIdle, std::memory_order_relaxed);
    completion->done(std::move(status));
  }
  close();
}

Status GraphLane::open() {
  if (Status status = CudaStream::create(options_.device, &stream_); !status.is_ok()) return status;
  OrtMemoryInfo* memory = nullptr;
  const char* place = options_.session_on_cpu ? "Cpu" : "Cuda";
  if (OrtError error(ort().CreateMemoryInfo(place, OrtAllocatorType::kDevice,
                                            options_.session_on_cpu ? 0 : options_.device, OrtMemType::kDefault,
                                            &memory));
      error) {
    return failed("ONNX Runtime does not describe the device's memory", error);
  }
  memory_.reset(memory);
  if (Status status = open_buffers(); !status.is_ok()) return status;

  const std::lock_guard lock(recording());
  OrtParameters parameters = options_.parameters;
  if (!options_.session_on_cpu) {
    parameters.cuda.cpu_nodes = false;
    parameters.cuda.options.emplace_back("enable_cuda_graph", "1");
    parameters.cuda.options.emplace_back("has_user_compute_stream", "1");
    parameters.cuda.options.emplace_back("user_compute_stream",
                                         std::to_string(reinterpret_cast<uintptr_t>(stream_->raw())));
  }
  if (Status status = create_ort_session(options_.model_path, parameters, &session_); !status.is_ok()) return status;
  sizes_ = std::vector<Size>(plan_.sizes.size());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    sizes_[i].rows = plan_.sizes[i];
    if (Status status = record(&sizes_[i]); !status.is_ok()) {
      status.message += " (graphs: false runs the model without recording it)";
      return status;
    }
  }
  return Status::ok();
}

// As large as the largest batch, zeroed: rows that pad a batch must be numbers.
Status GraphLane::open_buffers() {
  const uint64_t most = plan_.sizes.back();
  for (const auto* tensors : {&plan_.inputs, &plan_.outputs}) {
    std::vector<DeviceBuffer>& buffers = tensors == &plan_.inputs ? inputs_ : outputs_;
    for (const GraphTensor& tensor : *tensors) {
      DeviceBuffer buffer;
      if (Status status = stream_->allocate(tensor.row_bytes * most, &buffer); !status.is_ok()) return status;
      const std::vector<char> zeros(tensor.row_bytes * most);
      if (Status status = stream_->copy_in(buffer, zeros.data(), zeros.size()); !status.is_ok()) return status;
      if (Status status = stream_->finish(); !status.is_ok()) return status;
      buffers.push_back(std::move(buffer));
    }
  }
  return Status::ok();
}

Status GraphLane::bind(const std::vector<GraphTensor>& tensors, const std::vector<DeviceBuffer>& buffers, bool input,
                       Size* size) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const GraphTensor& tensor = tensors[i];
    const Shape shape = graph_shape(plan_, tensor, size->rows);
    OrtValue* value = nullptr;
    if (OrtError error(ort().CreateTensorWithDataAsOrtValue(
            memory_.get(), reinterpret_cast<void*>(buffers[i].address()), tensor.row_bytes * size->rows, shape.data(),
            shape.size(), tensor.type, &value));
        error) {
      return failed("ONNX Runtime takes no memory of the device", error);
    }
    size->values.emplace_back(value);
    if (OrtError error((input ? ort().BindInput : ort().BindOutput)(size->binding.get(), tensor.name, value)); error) {
      return failed("ONNX Runtime does not bind a tensor", error);
    }
  }
  return Status::ok();
}

Status GraphLane::record(Size* size) {
  OrtIoBinding* binding = nullptr;
  if (OrtError error(ort().CreateIoBinding(session_.get(), &binding)); error) {
    return failed("ONNX Runtime makes no binding", error);
  }
  size->binding.reset(binding);
  OrtRunOptions* run = nullptr;
  if (OrtError error(ort().CreateRunOptions(&run)); error) return failed("ONNX Runtime makes no run options", error);
  size->options.reset(run);
  if (Status status = bind(plan_.inputs, inputs_, true, size); !status.is_ok()) return status;
  if (Status status = bind(plan_.outputs, outputs_, false, size); !status.is_ok()) return status;
  if (!options_.session_on_cpu) {
    if (OrtError error(ort().AddRunConfigEntry(run, kGraphId, std::to_string(size->rows).c_str())); error) {
      return failed("ONNX Runtime refused gpu_graph_id", error);
    }
  }
  // ONNX Runtime runs a size once to have its memory, then records it; the second call replays it.
  for (int i = 0; i < 2; ++i) {
    if (Status status = replay(*size); !status.is_ok()) return status;
    if (Status status = stream_->finish(); !status.is_ok()) return status;
  }
  // From now on the lane waits itself, once, for the copies as well.
  if (OrtError error(ort().AddRunConfigEntry(run, kNoSynchronize, "1")); error) {
    return failed("ONNX Runtime refused to leave the waiting to subten", error);
  }
  return Status::ok();
}

Status GraphLane::replay(const Size& size) {
  if (OrtError error(ort().RunWithBinding(session_.get(), size.options.get(), size.binding.get())); error) {
    return failed("ONNX Runtime failed to run the model", error);
  }
  return Status::ok();
}

Status GraphLane::compute(const BatchView& batch, BatchCompletion& completion) {
  const Size* size = nullptr;
  for (const Size& each : sizes_) {
    if (size == nullptr && each.rows >= batch.rows) size = &each;
  }
  if (size == nullptr || batch.inputs.size() != inputs_.size()) {
    return Status::error(Code::kInvalidInput, "The batch does not fit the model: " + std::to_string(batch.rows) +
                                                  " rows, " + std::to_string(batch.inputs.size()) + " inputs.");
  }
  completion.mark_start();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const BatchTensor& tensor = batch.inputs[i];
    const uint64_t rows = plan_.batches ? batch.rows : 1;
    if (!tensor.present || tensor.bytes != rows * plan_.inputs[i].row_bytes) {
      return Status::error(Code::kInvalidInput, std::string("The input '") + plan_.inputs[i].name + "' has " +
                                                    std::to_string(tensor.bytes) + " bytes, which is not what " +
                                                    std::to_string(rows) + " rows need.");
    }
    if (Status status = stream_->copy_in(inputs_[i], tensor.data, tensor.bytes); !status.is_ok()) return status;
  }
  if (options_.session_on_cpu) {
    if (Status status = stream_->finish(); !status.is_ok()) return status;
  }
  if (Status status = replay(*size); !status.is_ok()) return status;
  return take_outputs(batch, completion);
}

Status GraphLane::take_outputs(const BatchView& batch, BatchCompletion& completion) {
  const uint32_t rows = plan_.batches ? batch.rows : 1;
  struct Own {
    size_t index;
    Shape shape;
    std::unique_ptr<void, decltype(&std::free)> memory;
    uint64_t bytes;
  };
  std::vector<Own> own;  // where the slab is full
  Status status;
  for (size_t i = 0; i < outputs_.size() && status.is_ok(); ++i) {
    if (!batch.wanted.empty() && !batch.wanted[i]) continue;
    const uint64_t bytes = rows * plan_.outputs[i].row_bytes;
    const Shape shape = graph_shape(plan_, plan_.outputs[i], rows);
    void* memory = completion.allocate(i, {shape.data(), shape.size()}, bytes);
    if (memory == nullptr) {
      memory = std::malloc(bytes);
      own.push_back({i, shape, {memory, &std::free}, bytes});
      if (memory == nullptr) status = Status::quiet(Code::kOutOfMemory, "no memory for an output");
    }
    if (memory != nullptr) status = stream_->copy_out(memory, outputs_[i], bytes);
  }
  // Also after a failure: the device must not write to memory that was given back.
  Status finished = stream_->finish();
  completion.mark_end();
  if (status.is_ok()) status = std::move(finished);
  if (!status.is_ok()) return status;
  for (Own& each : own) {
    BufferHandle buffer;
    buffer.bytes = each.bytes;
    buffer.kind = MemoryKind::kEngine;
    buffer.data = each.memory.get();
    buffer.context = each.memory.release();
    buffer.release = [](void* memory) { std::free(memory); };
    completion.adopt(each.index, {each.shape.data(), each.shape.size()}, buffer);
  }
  return Status::ok();
}

void GraphLane::close() noexcept {
  sizes_.clear();
  session_.reset();
  inputs_.clear();
  outputs_.clear();
  stream_.reset();
}

}  // namespace subten
