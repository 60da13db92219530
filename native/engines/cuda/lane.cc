#include "engines/cuda/lane.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <system_error>

#include "metrics/clock.h"

namespace subten {
namespace {

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

}  // namespace

std::vector<uint32_t> lane_sizes(uint32_t most) {
  std::vector<uint32_t> sizes;
  for (uint64_t size = 1; size < most; size *= 2) sizes.push_back(static_cast<uint32_t>(size));
  sizes.push_back(std::max<uint32_t>(most, 1));
  return sizes;
}

std::string lane_sizes_text(const std::vector<uint32_t>& sizes) {
  std::string text;
  for (const uint32_t size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return text;
}

bool lane_tensor(const TensorSpec& spec, bool batches, LaneTensor* out) {
  out->name = spec.name;
  for (size_t d = batches ? 1 : 0; d < spec.shape.size(); ++d) {
    if (spec.shape[d] < 0) return false;
    out->row.push_back(spec.shape[d]);
  }
  uint64_t elements = 0;
  if ((batches && spec.shape.empty()) || !element_count(out->row.data(), out->row.size(), &elements)) return false;
  out->row_bytes = elements * element_size(spec.type);
  return out->row_bytes > 0;
}

Shape lane_shape(const LanePlan& plan, const LaneTensor& tensor, uint32_t rows) {
  Shape shape;
  if (plan.batches) shape.push_back(rows);
  for (const int64_t dim : tensor.row) shape.push_back(dim);
  return shape;
}

Status CudaLane::create(const LanePlan& plan, int device, std::unique_ptr<LaneProgram> program, LaneStages* stages,
                        std::unique_ptr<CudaLane>* out) {
  std::unique_ptr<CudaLane> lane(new CudaLane(plan, device, std::move(program), stages));
  try {
    lane->thread_ = std::thread([self = lane.get()] { self->run(); });
  } catch (const std::system_error&) {
    return Status::error(Code::kOutOfMemory, "The system refused a thread for a stream of the CUDA device.");
  }
  // Acquire pairs with the release in run(): `opened_` is written then.
  lane->state_.wait(State::kStarting, std::memory_order_acquire);
  if (!lane->opened_.is_ok()) return lane->opened_;
  *out = std::move(lane);
  return Status::ok();
}

CudaLane::~CudaLane() {
  if (!thread_.joinable()) return;
  state_.store(State::kStop, std::memory_order_release);  // pairs with the acquire in next()
  state_.notify_one();
  thread_.join();
}

void CudaLane::start(const BatchView& batch, BatchCompletion* completion) noexcept {
  batch_ = batch;
  completion_ = completion;
  state_.store(State::kWork, std::memory_order_release);  // pairs with the acquire in next()
  state_.notify_one();
}

// What to do next, once there is something.
CudaLane::State CudaLane::next() noexcept {
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

void CudaLane::run() noexcept {
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

Status CudaLane::open() {
  if (Status status = CudaStream::create(device_, &stream_); !status.is_ok()) return status;
  if (Status status = open_buffers(plan_.inputs, &buffers_.inputs); !status.is_ok()) return status;
  if (Status status = open_buffers(plan_.outputs, &buffers_.outputs); !status.is_ok()) return status;
  clock_ = std::make_unique<LaneClock>();
  if (Status status = clock_->open(*stream_, stages_); !status.is_ok()) return status;
  const std::lock_guard lock(recording());
  return program_->open(*stream_, buffers_);
}

// As large as the largest batch, zeroed: rows that pad a batch must be numbers.
Status CudaLane::open_buffers(const std::vector<LaneTensor>& tensors, std::vector<DeviceBuffer>* buffers) {
  const uint64_t most = plan_.sizes.back();
  for (const LaneTensor& tensor : tensors) {
    DeviceBuffer buffer;
    if (Status status = stream_->allocate(tensor.row_bytes * most, &buffer); !status.is_ok()) return status;
    const std::vector<char> zeros(tensor.row_bytes * most);
    if (Status status = stream_->copy_in(buffer, zeros.data(), zeros.size()); !status.is_ok()) return status;
    if (Status status = stream_->finish(); !status.is_ok()) return status;
    buffers->push_back(std::move(buffer));
  }
  return Status::ok();
}

Status CudaLane::compute(const BatchView& batch, BatchCompletion& completion) {
  const auto size = std::lower_bound(plan_.sizes.begin(), plan_.sizes.end(), batch.rows);
  if (size == plan_.sizes.end() || batch.inputs.size() != plan_.inputs.size()) {
    return Status::error(Code::kInvalidInput, "The batch does not fit the model: " + std::to_string(batch.rows) +
                                                  " rows, " + std::to_string(batch.inputs.size()) + " inputs.");
  }
  completion.mark_start();
  clock_->begin();
  clock_->mark(*stream_, LaneClock::kStart);
  Status status = copy_inputs(batch);
  clock_->mark(*stream_, LaneClock::kCopied);
  if (status.is_ok() && program_->runs_on_host()) status = stream_->finish();
  if (status.is_ok()) status = program_->run(static_cast<size_t>(size - plan_.sizes.begin()));
  clock_->mark(*stream_, LaneClock::kComputed);
  if (status.is_ok()) return take_outputs(batch, completion);
  // The device may still read the inputs, which are given back when the batch has ended.
  (void)stream_->finish();
  return status;
}

Status CudaLane::copy_inputs(const BatchView& batch) {
  for (size_t i = 0; i < plan_.inputs.size(); ++i) {
    const BatchTensor& tensor = batch.inputs[i];
    const uint64_t rows = plan_.batches ? batch.rows : 1;
    if (!tensor.present || tensor.bytes != rows * plan_.inputs[i].row_bytes) {
      return Status::error(Code::kInvalidInput, "The input '" + plan_.inputs[i].name + "' has " +
                                                    std::to_string(tensor.bytes) + " bytes, which is not what " +
                                                    std::to_string(rows) + " rows need.");
    }
    if (Status status = stream_->copy_in(buffers_.inputs[i], tensor.data, tensor.bytes); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status CudaLane::take_outputs(const BatchView& batch, BatchCompletion& completion) {
  const uint32_t rows = plan_.batches ? batch.rows : 1;
  struct Own {
    size_t index;
    Shape shape;
    std::unique_ptr<void, decltype(&std::free)> memory;
    uint64_t bytes;
  };
  std::vector<Own> own;  // where the slab is full
  Status status;
  for (size_t i = 0; i < plan_.outputs.size() && status.is_ok(); ++i) {
    if (!batch.wanted.empty() && !batch.wanted[i]) continue;
    const uint64_t bytes = rows * plan_.outputs[i].row_bytes;
    const Shape shape = lane_shape(plan_, plan_.outputs[i], rows);
    void* memory = completion.allocate(i, {shape.data(), shape.size()}, bytes);
    if (memory == nullptr) {
      memory = std::malloc(bytes);
      own.push_back({i, shape, {memory, &std::free}, bytes});
      if (memory == nullptr) status = Status::quiet(Code::kOutOfMemory, "no memory for an output");
    }
    if (memory != nullptr) status = stream_->copy_out(memory, buffers_.outputs[i], bytes);
  }
  clock_->mark(*stream_, LaneClock::kEnd);
  // Also after a failure: the device must not write to memory that was given back.
  Status finished = stream_->finish();
  completion.mark_end();
  if (status.is_ok()) status = std::move(finished);
  if (!status.is_ok()) return status;
  clock_->end();
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

void CudaLane::close() noexcept {
  program_.reset();
  buffers_.inputs.clear();
  buffers_.outputs.clear();
  clock_.reset();
  stream_.reset();
}

}  // namespace subten
