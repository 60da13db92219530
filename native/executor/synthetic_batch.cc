#include "executor/synthetic_batch.h"

#include <algorithm>
#include <memory>

#include "metrics/clock.h"
#include "schedule/latency_model.h"

namespace subten {
namespace {

constexpr uint32_t kRunsOfASize = 6;
constexpr int64_t kMostNs = 2'000'000'000;
constexpr uint64_t kMostBytes = uint64_t{256} << 20;

// Takes results and drops them.
class Discard final : public BatchCompletion {
 public:
  // Memory that lasts as long as this: what is written there is not looked at.
  void* allocate(size_t, std::span<const int64_t>, uint64_t bytes) noexcept override {
    try {
      return memory_.emplace_back(new std::byte[std::max<uint64_t>(1, bytes)]).get();
    } catch (...) {
      return nullptr;
    }
  }
  void adopt(size_t, std::span<const int64_t>, BufferHandle buffer) noexcept override { release(buffer); }
  void set_shape(size_t, std::span<const int64_t>) noexcept override {}
  void* allocate_for(size_t, size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override {
    return allocate(index, shape, bytes);
  }
  void adopt_for(size_t, size_t, std::span<const int64_t>, BufferHandle buffer) noexcept override { release(buffer); }
  bool part(size_t) noexcept override { return false; }
  void fail(size_t, Status) noexcept override { failed_ = true; }
  bool abandoned() const noexcept override { return false; }
  void mark_start() noexcept override {}
  void mark_end() noexcept override {}
  void done(Status status) noexcept override { failed_ = failed_ || !status.is_ok(); }
  bool failed() const noexcept { return failed_; }

 private:
  static void release(const BufferHandle& buffer) noexcept {
    if (buffer.release != nullptr) buffer.release(buffer.context);
  }
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  bool failed_ = false;
};

}  // namespace

bool SyntheticBatch::prepare(EngineModel& model, bool batches, uint32_t fill_to) noexcept {
  if (model.completion() != Completion::kSync) return false;
  spec_ = &model.spec();
  batches_ = batches;
  fill_to_ = fill_to;
  try {
    for (const TensorSpec& input : spec_->inputs) {
      if (input.type == DataType::kBytes || input.ragged) return false;
      uint64_t elements = 1;
      for (size_t dim = batches ? 1 : 0; dim < input.shape.size(); ++dim) {
        const auto size = static_cast<uint64_t>(input.shape[dim] < 0 ? 1 : input.shape[dim]);
        if (__builtin_mul_overflow(elements, size, &elements)) return false;
      }
      if (__builtin_mul_overflow(elements, element_size(input.type), &elements) || elements > kMostBytes) return false;
      row_bytes_.push_back(elements);
    }
    zeros_ = std::vector<MappedArray<std::byte>>(spec_->inputs.size());
    inputs_.resize(spec_->inputs.size());
    return true;
  } catch (...) {
    return false;
  }
}

bool SyntheticBatch::resize(uint32_t rows) {
  const size_t inputs = inputs_.size();
  tensors_.assign(size_t{rows} * inputs, {});
  present_.assign(size_t{rows} * inputs, 1);
  views_.assign(rows, {});
  for (size_t index = 0; index < inputs; ++index) {
    const TensorSpec& spec = spec_->inputs[index];
    BatchTensor& whole = inputs_[index];
    whole.shape.assign(spec.shape.begin(), spec.shape.end());
    for (int64_t& dim : whole.shape) dim = dim < 0 ? 1 : dim;
    Shape row = whole.shape;
    if (batches_) {
      whole.shape[0] = rows;
      row[0] = 1;
    }
    whole.bytes = row_bytes_[index] * rows;
    if (whole.bytes > kMostBytes) return false;
    if (zeros_[index].size() < whole.bytes && !zeros_[index].map(std::max<uint64_t>(1, whole.bytes))) return false;
    whole.data = zeros_[index].data();
    for (uint32_t i = 0; i < rows; ++i) {
      tensors_[i * inputs + index] = {zeros_[index].data() + i * row_bytes_[index], row_bytes_[index], row};
    }
  }
  static_assert(sizeof(bool) == sizeof(char));
  for (uint32_t i = 0; i < rows; ++i) {
    views_[i].inputs = std::span(tensors_.data() + i * inputs, inputs);
    views_[i].present = std::span(reinterpret_cast<const bool*>(present_.data()) + i * inputs, inputs);
  }
  return true;
}

int64_t SyntheticBatch::run(EngineInstance& instance, uint32_t rows) noexcept {
  const uint32_t engine_rows = std::max(rows, fill_to_);
  try {
    if (!resize(engine_rows)) return -1;
  } catch (...) {
    return -1;
  }
  Discard results;
  const int64_t start = monotonic_ns();
  instance.execute({engine_rows, views_, inputs_}, &results);
  const int64_t took = monotonic_ns() - start;
  return results.failed() ? -1 : took;
}

std::string measure_latencies(EngineModel& model, uint32_t most_rows, bool filled) noexcept {
  try {
    SyntheticBatch batch;
    std::unique_ptr<EngineInstance> instance;
    LatencyModel latency;
    if (!batch.prepare(model, most_rows > 0, filled ? most_rows : 0) || !latency.initialise(most_rows, 1) ||
        !model.create_instance(&instance).is_ok()) {
      return {};
    }
    const int64_t until = monotonic_ns() + kMostNs;
    const uint32_t most = std::max<uint32_t>(1, most_rows);
    for (uint32_t rows = 1;; rows = std::min(rows * 2, most)) {
      // The first run of a size finds memory for it, and compiles for it where an engine does: it says nothing.
      if (batch.run(*instance, rows) < 0) break;
      for (uint32_t i = 0; i < kRunsOfASize && (i < 1 || monotonic_ns() < until); ++i) {
        const int64_t took = batch.run(*instance, rows);
        if (took < 0) return latency.save();
        latency.observe(0, rows, took);
      }
      if (rows == most || monotonic_ns() >= until) break;
    }
    return latency.save();
  } catch (...) {
    return {};
  }
}

}  // namespace subten
