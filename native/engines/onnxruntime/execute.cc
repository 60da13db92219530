#include "engines/onnxruntime/execute.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"
#include "engines/onnxruntime/string_tensor.h"

namespace subten {
namespace {

Status invalid_input(const TensorSpec& spec, const std::string& what) {
  return Status::error(Code::kInvalidInput, "The input '" + spec.name + "' " + what + ".");
}

Status engine_error(const char* what, const OrtError& error) {
  return Status::error(Code::kEngineFailed, std::string(what) + error.message());
}

// Rows or other elements of request `request` in string input `index`; nothing if its shape makes no sense.
std::optional<uint64_t> elements_of(const BatchView& batch, size_t request, size_t index) noexcept {
  const RequestView& view = batch.requests[request];
  if (index >= view.inputs.size()) return std::nullopt;
  const Shape& shape = view.inputs[index].shape;
  uint64_t count = 0;
  if (!element_count(shape.data(), shape.size(), &count)) return std::nullopt;
  return count;
}

// Whether the parts of the requests make up the whole tensor, so that each can be judged alone.
bool parts_add_up(const BatchView& batch, size_t index, uint64_t total) noexcept {
  uint64_t sum = 0;
  for (size_t request = 0; request < batch.requests.size(); ++request) {
    const std::optional<uint64_t> count = elements_of(batch, request, index);
    if (!count || *count > total - sum) return false;
    sum += *count;
  }
  return sum == total && !batch.requests.empty();
}

// An output may be an input passed through, in the memory of the caller.
bool lies_in_inputs(const void* data, const BatchView& batch) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(data);
  for (const BatchTensor& input : batch.inputs) {
    const auto start = reinterpret_cast<uintptr_t>(input.data);
    if (input.present && address >= start && address < start + input.bytes) return true;
  }
  return false;
}

bool is_wanted(const BatchView& batch, size_t index) noexcept { return batch.wanted.empty() || batch.wanted[index]; }

// The library has several sentences for an output that does not fit the memory it was given; all have this word.
bool speaks_of_shape(std::string_view message) noexcept { return message.find("hape") != std::string_view::npos; }

void release_value(void* value) { ort().ReleaseValue(static_cast<OrtValue*>(value)); }

}  // namespace

Status OrtInstance::create(OrtModelState& model, std::unique_ptr<EngineInstance>* out) {
  std::unique_ptr<OrtInstance> instance(new OrtInstance(model));
  OrtRunOptions* options = nullptr;
  if (OrtError error(ort().CreateRunOptions(&options)); error) {
    return engine_error("ONNX Runtime cannot make an instance: ", error);
  }
  instance->options_.reset(options);
  if (const std::string& shrinkage = model.parameters.arena_shrinkage; !shrinkage.empty()) {
    if (OrtError error(ort().AddRunConfigEntry(options, "memory.enable_memory_arena_shrinkage", shrinkage.c_str()));
        error) {
      return engine_error("ONNX Runtime refused memory.enable_memory_arena_shrinkage: ", error);
    }
  }
  const size_t inputs = model.input_names.size();
  const size_t outputs = model.output_names.size();
  instance->inputs_ = std::vector<Input>(inputs);
  instance->outputs_ = std::vector<Output>(outputs);
  instance->run_names_.resize(inputs);
  instance->run_inputs_.resize(inputs);
  instance->run_outputs_.resize(outputs);
  instance->wanted_names_.reserve(outputs);
  instance->wanted_outputs_.reserve(outputs);
  *out = std::move(instance);
  return Status::ok();
}

void OrtInstance::terminate() noexcept {
  switch_.stop([this] {
    if (OrtStatus* status = ort().RunOptionsSetTerminate(options_.get()); status != nullptr) {
      ort().ReleaseStatus(status);
    }
  });
}

void OrtInstance::execute(const BatchView& batch, BatchCompletion* completion) noexcept {
  switch_.begin();
  Status status;
  try {
    status = completion->abandoned() ? Status::quiet(Code::kEngineFailed, "nobody waits for the run")
                                     : run(batch, *completion);
  } catch (const std::bad_alloc&) {
    status.code = Code::kOutOfMemory;  // without a message: there is no memory for one
  }
  // Whatever a failed run has left behind.
  for (size_t index = 0; index < run_outputs_.size(); ++index) {
    if (run_outputs_[index] != nullptr && !outputs_[index].placed) ort().ReleaseValue(run_outputs_[index]);
    run_outputs_[index] = nullptr;
  }
  if (switch_.end()) {
    if (OrtStatus* failure = ort().RunOptionsUnsetTerminate(options_.get()); failure != nullptr) {
      ort().ReleaseStatus(failure);
    }
  }
  completion->done(std::move(status));
}

Status OrtInstance::run(const BatchView& batch, BatchCompletion& completion) {
  if (Status status = take_inputs(batch, completion); !status.is_ok()) return status;
  place_outputs(batch, completion);
  completion.mark_start();
  Status status = call_session(batch, completion);
  completion.mark_end();
  if (!status.is_ok()) return status;
  return hand_over(batch, completion);
}

Status OrtInstance::take_inputs(const BatchView& batch, BatchCompletion& completion) {
  run_count_ = 0;
  failed_.clear();
  if (batch.inputs.size() != inputs_.size()) {
    return Status::error(Code::kInvalidInput, "The batch has " + std::to_string(batch.inputs.size()) +
                                                  " inputs, the model " + std::to_string(inputs_.size()) + ".");
  }
  for (size_t index = 0; index < inputs_.size(); ++index) {
    const TensorSpec& spec = model_.spec.inputs[index];
    const BatchTensor& tensor = batch.inputs[index];
    if (!tensor.present) {
      if (spec.optional) continue;
      return invalid_input(spec, "is missing");
    }
    Status status;
    OrtValue* value = spec.type == DataType::kBytes ? take_strings(index, batch, completion, &status)
                                                    : take_tensor(index, tensor, &status);
    if (value == nullptr) return status;
    run_names_[run_count_] = model_.input_names[index];
    run_inputs_[run_count_] = value;
    ++run_count_;
  }
  return Status::ok();
}

OrtValue* OrtInstance::take_tensor(size_t index, const BatchTensor& tensor, Status* status) {
  const TensorSpec& spec = model_.spec.inputs[index];
  uint64_t count = 0;
  uint64_t bytes = 0;
  if (!element_count(tensor.shape.data(), tensor.shape.size(), &count) ||
      __builtin_mul_overflow(count, element_size(spec.type), &bytes) || bytes != tensor.bytes) {
    *status = invalid_input(spec, "has " + std::to_string(tensor.bytes) + " bytes, which is not what its shape needs");
    return nullptr;
  }
  Status failure;
  OrtValue* value =
      inputs_[index].cache.value_over(tensor.data, tensor.bytes, tensor.shape, model_.input_types[index], &failure);
  if (value == nullptr) *status = invalid_input(spec, failure.message);
  return value;
}

OrtValue* OrtInstance::take_strings(size_t index, const BatchView& batch, BatchCompletion& completion, Status* status) {
  const TensorSpec& spec = model_.spec.inputs[index];
  const BatchTensor& tensor = batch.inputs[index];
  uint64_t count = 0;
  // Each element takes four bytes at least: a shape that promises more must not make us allocate for it.
  if (tensor.shape.size() > kMaxRank || !element_count(tensor.shape.data(), tensor.shape.size(), &count) ||
      count > tensor.bytes / sizeof(uint32_t)) {
    *status = invalid_input(spec, "has " + std::to_string(tensor.bytes) +
                                      " bytes, too few for the elements of its "
                                      "shape");
    return nullptr;
  }
  Input& input = inputs_[index];
  if (!input.strings || input.strings_shape != tensor.shape) {
    input.strings.reset();
    OrtValue* value = nullptr;
    if (OrtError error(ort().CreateTensorAsOrtValue(ort_allocator(), tensor.shape.data(), tensor.shape.size(),
                                                    OrtElementType::kString, &value));
        error) {
      *status = engine_error("ONNX Runtime cannot make a string tensor: ", error);
      return nullptr;
    }
    input.strings.reset(value);
    input.strings_shape = tensor.shape;
  }
  if (parts_add_up(batch, index, count)) {
    *status = fill_requests(index, batch, completion, input.strings.get());
  } else {
    *status = fill_strings(input.strings.get(), 0, count, tensor.data, tensor.bytes);
    if (status->code == Code::kInvalidInput) *status = invalid_input(spec, "is malformed: " + status->message);
  }
  return status->is_ok() ? input.strings.get() : nullptr;
}

// A malformed request fails alone: its elements take the first text of a sound one, so that the run does not fail on
// something that nobody sent.
Status OrtInstance::fill_requests(size_t index, const BatchView& batch, BatchCompletion& completion, OrtValue* value) {
  const TensorSpec& spec = model_.spec.inputs[index];
  const size_t requests = batch.requests.size();
  std::optional<size_t> sound;
  Status last_failure;
  bool any_failed = false;
  uint64_t first = 0;
  for (size_t request = 0; request < requests; ++request) {
    const RequestTensor& part = batch.requests[request].inputs[index];
    const uint64_t count = *elements_of(batch, request, index);
    Status status = fill_strings(value, first, count, part.data, part.bytes);
    if (status.code == Code::kInvalidInput) {
      last_failure = invalid_input(spec, "is malformed: " + status.message);
      any_failed = true;
      if (failed_.size() != requests) failed_.assign(requests, false);
      if (requests > 1 && !failed_[request]) completion.fail(request, last_failure);
      failed_[request] = true;
    } else if (!status.is_ok()) {
      return status;
    } else if (!sound && count > 0) {
      sound = request;
    }
    first += count;
  }
  if (!failed_.empty() && std::find(failed_.begin(), failed_.end(), false) == failed_.end()) {
    return any_failed ? last_failure : invalid_input(spec, "belongs to a batch without a sound request");
  }
  if (!any_failed) return Status::ok();
  std::string_view replacement;
  if (sound) {
    const RequestTensor& part = batch.requests[*sound].inputs[index];
    replacement = WireStrings(part.data, part.bytes).next().value_or(std::string_view());
  }
  first = 0;
  for (size_t request = 0; request < requests; ++request) {
    const uint64_t count = *elements_of(batch, request, index);
    if (failed_[request]) {
      if (Status status = fill_with(value, first, count, replacement); !status.is_ok()) return status;
    }
    first += count;
  }
  return Status::ok();
}

void OrtInstance::place_outputs(const BatchView& batch, BatchCompletion& completion) {
  // Relaxed: a run with a stale `true` finds out for itself.
  const bool plans_hold = model_.plans_hold.load(std::memory_order_relaxed);
  for (size_t index = 0; index < outputs_.size(); ++index) {
    Output& output = outputs_[index];
    output.placed = false;
    uint64_t count = 0;
    uint64_t bytes = 0;
    if (!is_wanted(batch, index) || !plans_hold || !predict_shape(index, batch, &count) ||
        __builtin_mul_overflow(count, element_size(model_.spec.outputs[index].type), &bytes)) {
      continue;
    }
    const std::span<const int64_t> shape(output.shape.data(), model_.plans[index].rank);
    void* memory = completion.allocate(index, shape, bytes);
    if (memory == nullptr) continue;
    Status ignored;  // then the library allocates
    run_outputs_[index] = output.cache.value_over(memory, bytes, shape, model_.output_types[index], &ignored);
    output.placed = run_outputs_[index] != nullptr;
  }
}

bool OrtInstance::predict_shape(size_t index, const BatchView& batch, uint64_t* count) noexcept {
  const OutputPlan& plan = model_.plans[index];
  if (!plan.predictable) return false;
  std::array<int64_t, kMaxRank>& shape = outputs_[index].shape;
  for (size_t d = 0; d < plan.rank; ++d) {
    const OutputDimension& dimension = plan.dimensions[d];
    switch (dimension.source) {
      case OutputDimension::Source::kFixed:
        shape[d] = dimension.value;
        break;
      case OutputDimension::Source::kRows:
        shape[d] = batch.rows;
        break;
      case OutputDimension::Source::kInput: {
        const BatchTensor& input = batch.inputs[dimension.input];
        if (!input.present || dimension.dimension >= input.shape.size()) return false;
        shape[d] = input.shape[dimension.dimension];
        break;
      }
    }
  }
  return element_count(shape.data(), plan.rank, count);
}

OrtStatus* OrtInstance::run_wanted(const BatchView& batch) {
  wanted_names_.clear();
  wanted_outputs_.clear();
  for (size_t index = 0; index < outputs_.size(); ++index) {
    if (!batch.wanted[index]) continue;
    wanted_names_.push_back(model_.output_names[index]);
    wanted_outputs_.push_back(run_outputs_[index]);
  }
  OrtStatus* status = ort().Run(model_.session.get(), options_.get(), run_names_.data(), run_inputs_.data(), run_count_,
                                wanted_names_.data(), wanted_names_.size(), wanted_outputs_.data());
  for (size_t index = 0, next = 0; index < outputs_.size(); ++index) {
    if (batch.wanted[index]) run_outputs_[index] = wanted_outputs_[next++];
  }
  return status;
}

Status OrtInstance::call_session(const BatchView& batch, BatchCompletion& completion) {
  const bool all = std::find(batch.wanted.begin(), batch.wanted.end(), false) == batch.wanted.end();
  const auto call = [&] {
    if (!all) return run_wanted(batch);
    return ort().Run(model_.session.get(), options_.get(), run_names_.data(), run_inputs_.data(), run_count_,
                     model_.output_names.data(), outputs_.size(), run_outputs_.data());
  };
  OrtError error(call());
  if (!error) return Status::ok();
  const bool any_placed = std::any_of(outputs_.begin(), outputs_.end(), [](const Output& o) { return o.placed; });
  // Perhaps the outputs are not shaped as the model declares. If so, it runs without our memory, and from then on its
  // outputs are taken as they come. (After terminate() the library's switch is still set, and the second call returns
  // at once.)
  if (any_placed && !completion.abandoned() && speaks_of_shape(error.raw())) {
    for (size_t index = 0; index < outputs_.size(); ++index) {
      outputs_[index].placed = false;
      run_outputs_[index] = nullptr;
    }
    error = OrtError(call());
    if (!error) {
      model_.plans_hold.store(false, std::memory_order_relaxed);
      return Status::ok();
    }
  }
  return engine_error("ONNX Runtime failed to run the model: ", error);
}

Status OrtInstance::hand_over(const BatchView& batch, BatchCompletion& completion) {
  for (size_t index = 0; index < outputs_.size(); ++index) {
    if (outputs_[index].placed || !is_wanted(batch, index)) continue;
    OrtOwned<OrtValue> value(std::exchange(run_outputs_[index], nullptr));
    if (Status status = adopt_output(index, std::move(value), batch, completion); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status OrtInstance::adopt_output(size_t index, OrtOwned<OrtValue> value, const BatchView& batch,
                                 BatchCompletion& completion) {
  const TensorSpec& spec = model_.spec.outputs[index];
  OrtElementType type = OrtElementType::kUndefined;
  const int64_t* dims = nullptr;
  size_t rank = 0;
  if (OrtError error(ort().GetTensorElementTypeAndShapeDataReference(value.get(), &type, &dims, &rank)); error) {
    return engine_error("ONNX Runtime gave an output that is not a tensor: ", error);
  }
  uint64_t count = 0;
  if (rank > kMaxRank || type != model_.output_types[index] || !element_count(dims, rank, &count)) {
    return Status::error(Code::kEngineFailed, "The output '" + spec.name +
                                                  "' has a rank or type that the model does "
                                                  "not declare or subten does not take.");
  }
  const std::span<const int64_t> shape(dims, rank);
  BufferHandle buffer;
  if (spec.type == DataType::kBytes) {
    if (Status status = strings_to_wire(value.get(), count, &string_offsets_, &buffer); !status.is_ok()) return status;
    completion.adopt(index, shape, buffer);
    return Status::ok();
  }
  void* data = nullptr;
  if (OrtError error(ort().GetTensorMutableData(value.get(), &data)); error) {
    return engine_error("ONNX Runtime does not show an output: ", error);
  }
  buffer.bytes = count * element_size(spec.type);
  buffer.kind = MemoryKind::kEngine;
  if (lies_in_inputs(data, batch)) {
    if (void* copy = completion.allocate(index, shape, buffer.bytes); copy != nullptr) {
      std::memcpy(copy, data, buffer.bytes);
      return Status::ok();
    }
    buffer.data = std::malloc(std::max<uint64_t>(buffer.bytes, 1));
    if (buffer.data == nullptr) throw std::bad_alloc();
    std::memcpy(buffer.data, data, buffer.bytes);
    buffer.context = buffer.data;
    buffer.release = [](void* memory) { std::free(memory); };
  } else {
    buffer.data = data;
    buffer.context = value.release();
    buffer.release = release_value;
  }
  completion.adopt(index, shape, buffer);
  return Status::ok();
}

}  // namespace subten
