#include "engines/triton/triton_instance.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "metrics/clock.h"

namespace subten {
namespace {

// One run in so many is traced, for the latencies inside Triton.
constexpr uint32_t kTraceEvery = 8;

TRITONSERVER_DataType triton_type(DataType type) noexcept {
  switch (type) {
    case DataType::kBool:
      return TRITONSERVER_TYPE_BOOL;
    case DataType::kUint8:
      return TRITONSERVER_TYPE_UINT8;
    case DataType::kUint16:
      return TRITONSERVER_TYPE_UINT16;
    case DataType::kUint32:
      return TRITONSERVER_TYPE_UINT32;
    case DataType::kUint64:
      return TRITONSERVER_TYPE_UINT64;
    case DataType::kInt8:
      return TRITONSERVER_TYPE_INT8;
    case DataType::kInt16:
      return TRITONSERVER_TYPE_INT16;
    case DataType::kInt32:
      return TRITONSERVER_TYPE_INT32;
    case DataType::kInt64:
      return TRITONSERVER_TYPE_INT64;
    case DataType::kFp16:
      return TRITONSERVER_TYPE_FP16;
    case DataType::kBf16:
      return TRITONSERVER_TYPE_BF16;
    case DataType::kFp32:
      return TRITONSERVER_TYPE_FP32;
    case DataType::kFp64:
      return TRITONSERVER_TYPE_FP64;
    case DataType::kBytes:
      return TRITONSERVER_TYPE_BYTES;
  }
  return TRITONSERVER_TYPE_INVALID;
}

Status called(TRITONSERVER_Error* error) noexcept {
  if (error == nullptr) return Status::ok();
  const TritonError held(error);
  return request_status(error);
}

// An output that is not in the slab: its size was not known beforehand, or the slab was full. The response uses it
// until it is deleted, and whoever reads it, in any order.
struct alignas(64) OwnBuffer {
  std::atomic<uint32_t> users{1};

  static OwnBuffer* create(size_t bytes) noexcept {
    void* memory = bytes > SIZE_MAX - sizeof(OwnBuffer) - 64
                       ? nullptr
                       : std::aligned_alloc(64, (sizeof(OwnBuffer) + bytes + 63) / 64 * 64);
    return memory == nullptr ? nullptr : new (memory) OwnBuffer();
  }
  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  void drop() noexcept {
    // acq_rel: the last one frees what the others have read.
    if (users.fetch_sub(1, std::memory_order_acq_rel) == 1) std::free(this);
  }
  BufferHandle share(size_t bytes) noexcept {
    users.fetch_add(1, std::memory_order_relaxed);
    BufferHandle handle;
    handle.data = data();
    handle.bytes = bytes;
    handle.kind = MemoryKind::kEngine;
    handle.release = [](void* context) { static_cast<OwnBuffer*>(context)->drop(); };
    handle.context = this;
    return handle;
  }
};

Status wrong_output(const char* name, TRITONSERVER_DataType type, std::span<const int64_t> shape,
                    size_t bytes) noexcept {
  try {
    std::string message =
        "output '" + std::string(name) + "' of the model's answer does not fit what the model declares";
    message += ": datatype " + std::to_string(type) + ", " + std::to_string(bytes) + " bytes for the shape [";
    for (const int64_t dimension : shape) message += std::to_string(dimension) + " ";
    return Status::error(Code::kEngineFailed, message + "]");
  } catch (...) {
    return Status::quiet(Code::kEngineFailed, "an output does not fit what the model declares");
  }
}

// Given to Triton for an output without bytes; never read.
std::byte nothing[64];

}  // namespace

TritonInstance::~TritonInstance() {
  model_->remove(this);
  drop_request();
}

void TritonInstance::drop_request() noexcept {
  if (request_ == nullptr) return;
  const TritonError ignored(triton().InferenceRequestDelete(request_));
  request_ = nullptr;
  inputs_.clear();
  spent_ = timeout_set_ = priority_set_ = id_set_ = false;
}

void TritonInstance::execute(const BatchView& batch, BatchCompletion* completion) noexcept {
  completion_ = completion;
  status_ = Status::ok();
  gone_ = answered_ = false;
  Status prepared;
  try {
    prepared = prepare(batch);
  } catch (...) {
    prepared = Status::quiet(Code::kOutOfMemory, "no memory to build a request for Triton");
  }
  if (!prepared.is_ok()) {
    drop_request();  // half built
    completion->done(std::move(prepared));
    return;
  }
  start_trace();
  waiting_.store(kRequest | kResponse | (trace_ != nullptr ? kTrace : 0), std::memory_order_relaxed);
  const uint64_t run = switch_.begin();
  completion->mark_start();
  Status refused;
  if (completion->abandoned()) {
    refused = Status::quiet(Code::kEngineFailed, "nobody waits for the request any more");
  } else {
    const TritonError error(triton().ServerInferAsync(model_->server(), request_, trace_));
    if (!error) {
      // Another thread may have finished this run by now and begun the next: nothing but the switch is touched.
      switch_.submitted(run, [this] { cancel(); });
      return;
    }
    refused = request_status(error.get());
  }
  if (trace_ != nullptr) {
    const TritonError ignored(triton().InferenceTraceDelete(std::exchange(trace_, nullptr)));
  }
  switch_.end();
  drop_request();
  completion->done(std::move(refused));
}

Status TritonInstance::prepare(const BatchView& batch) {
  if (spent_) drop_request();
  if (request_ == nullptr) {
    Status status = make_request();
    if (!status.is_ok()) return status;
  }
  Status status = set_inputs(batch);
  if (status.is_ok() && batch.requests.size() == 1) status = set_attributes(batch.requests[0]);
  return status;
}

Status TritonInstance::make_request() {
  Status status =
      called(triton().InferenceRequestNew(&request_, model_->server(), model_->name().c_str(), model_->version()));
  if (status.is_ok()) status = called(triton().InferenceRequestSetReleaseCallback(request_, &on_release, this));
  if (!status.is_ok()) return status;
  return called(triton().InferenceRequestSetResponseCallback(request_, model_->allocator(), this, &on_response, this));
}

Status TritonInstance::set_inputs(const BatchView& batch) {
  const auto& specs = model_->spec().inputs;
  const auto same = [&] {
    if (inputs_.size() != specs.size()) return false;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (inputs_[i].present != batch.inputs[i].present) return false;
      if (inputs_[i].present && inputs_[i].shape != batch.inputs[i].shape) return false;
    }
    return true;
  };
  const bool keep = same();
  if (!keep) {
    Status status = called(triton().InferenceRequestRemoveAllInputs(request_));
    if (!status.is_ok()) return status;
    inputs_.assign(specs.size(), {});
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const BatchTensor& from = batch.inputs[i];
    Input& input = inputs_[i];
    const char* name = specs[i].name.c_str();
    input.present = from.present;
    if (!from.present || (keep && input.data == from.data && input.bytes == from.bytes)) continue;
    if (from.shape.size() != specs[i].shape.size()) {
      return Status::error(Code::kNotSupported, "input '" + specs[i].name +
                                                    "' is ragged: load the model with triton: { batching: 'triton' }");
    }
    Status status;
    if (keep) {
      status = called(triton().InferenceRequestRemoveAllInputData(request_, name));
    } else {
      input.shape = from.shape;
      status = called(triton().InferenceRequestAddInput(request_, name, triton_type(specs[i].type), from.shape.data(),
                                                        from.shape.size()));
    }
    if (status.is_ok()) {
      status = called(
          triton().InferenceRequestAppendInputData(request_, name, from.data, from.bytes, TRITONSERVER_MEMORY_CPU, 0));
    }
    if (!status.is_ok()) return status;
    input.data = from.data;
    input.bytes = from.bytes;
  }
  return Status::ok();
}

Status TritonInstance::set_attributes(const RequestView& request) {
  const RequestAttributes* attributes = request.attributes;
  const bool has_id = attributes != nullptr && !attributes->id.empty();
  if (has_id || id_set_) {
    Status status = called(triton().InferenceRequestSetId(request_, has_id ? attributes->id.c_str() : ""));
    if (!status.is_ok()) return status;
    id_set_ = has_id;
  }
  if (request.deadline_ns != INT64_MAX || timeout_set_) {
    // 0 would be "no timeout" to Triton; a deadline that has passed was looked at when the batch was formed.
    const int64_t left = request.deadline_ns == INT64_MAX ? 0 : (request.deadline_ns - monotonic_ns()) / 1000;
    const uint64_t timeout = request.deadline_ns == INT64_MAX ? 0 : std::max<int64_t>(1, left);
    Status status = called(triton().InferenceRequestSetTimeoutMicroseconds(request_, timeout));
    if (!status.is_ok()) return status;
    timeout_set_ = timeout != 0;
  }
  if ((request.priority > 1 || priority_set_) && triton().InferenceRequestSetPriorityUInt64 != nullptr &&
      model_->has_priorities()) {
    Status status = called(triton().InferenceRequestSetPriorityUInt64(request_, request.priority));
    if (!status.is_ok()) return status;
    priority_set_ = true;
  }
  if (attributes == nullptr) return Status::ok();
  Status status;
  if (!attributes->sequence_text.empty()) {
    status = called(triton().InferenceRequestSetCorrelationIdString(request_, attributes->sequence_text.c_str()));
  } else if (attributes->sequence != 0) {
    status = called(triton().InferenceRequestSetCorrelationId(request_, attributes->sequence));
  }
  const uint32_t flags = (attributes->sequence_start ? TRITONSERVER_REQUEST_FLAG_SEQUENCE_START : 0) |
                         (attributes->sequence_end ? TRITONSERVER_REQUEST_FLAG_SEQUENCE_END : 0);
  if (status.is_ok() && flags != 0) status = called(triton().InferenceRequestSetFlags(request_, flags));
  spent_ =
      flags != 0 || attributes->sequence != 0 || !attributes->sequence_text.empty() || !attributes->parameters.empty();
  for (const RequestAttributes::Parameter& parameter : attributes->parameters) {
    if (!status.is_ok()) return status;
    const char* name = parameter.name.c_str();
    using Kind = RequestAttributes::Parameter::Kind;
    switch (parameter.kind) {
      case Kind::kString:
        status = called(triton().InferenceRequestSetStringParameter(request_, name, parameter.text.c_str()));
        break;
      case Kind::kInt:
        status = called(triton().InferenceRequestSetIntParameter(request_, name, parameter.integer));
        break;
      case Kind::kBool:
        status = called(triton().InferenceRequestSetBoolParameter(request_, name, parameter.integer != 0));
        break;
      case Kind::kDouble:
        if (triton().InferenceRequestSetDoubleParameter == nullptr) {
          return Status::error(Code::kEngineVersion,
                               "this Triton library takes no parameters that are fractions: it is too old");
        }
        status = called(triton().InferenceRequestSetDoubleParameter(request_, name, parameter.number));
        break;
    }
  }
  return status;
}

void TritonInstance::start_trace() noexcept {
  trace_ = nullptr;
  if (turn_++ % kTraceEvery != 0) return;
  times_.fill(0);
  const TritonError error(
      triton().InferenceTraceNew(&trace_, TRITONSERVER_TRACE_LEVEL_TIMESTAMPS, 0, &on_trace, &on_trace_release, this));
  if (error) trace_ = nullptr;
}

// While a run is on, from another thread; the executor lets neither the run end its place in its table nor the instance
// go meanwhile.
void TritonInstance::terminate() noexcept {
  switch_.stop([this] { cancel(); });
}

void TritonInstance::cancel() noexcept {
  if (triton().InferenceRequestCancel == nullptr) return;
  const TritonError ignored(triton().InferenceRequestCancel(request_));
}

// --- callbacks -----------------------------------------------------------------------------------------------------

TRITONSERVER_Error* TritonInstance::allocate_output(TRITONSERVER_ResponseAllocator*, const char* name, size_t bytes,
                                                    TRITONSERVER_MemoryType, int64_t, void* userp, void** buffer,
                                                    void** buffer_userp, TRITONSERVER_MemoryType* actual,
                                                    int64_t* actual_id) noexcept {
  auto* self = static_cast<TritonInstance*>(userp);
  *actual = TRITONSERVER_MEMORY_CPU;
  *actual_id = 0;
  *buffer_userp = nullptr;
  *buffer = nothing;
  if (bytes == 0) return nullptr;
  const int index = self->model_->output_index(name);
  if (index >= 0 && !self->model_->decoupled()) {
    // The shape follows when the response is complete.
    *buffer = self->completion_->allocate(static_cast<size_t>(index), {}, bytes);
    if (*buffer != nullptr) return nullptr;
  }
  OwnBuffer* own = OwnBuffer::create(bytes);
  if (own == nullptr) return triton().ErrorNew(TRITONSERVER_ERROR_UNAVAILABLE, "no memory for an output");
  *buffer = own->data();
  *buffer_userp = own;
  return nullptr;
}

TRITONSERVER_Error* TritonInstance::release_output(TRITONSERVER_ResponseAllocator*, void*, void* buffer_userp, size_t,
                                                   TRITONSERVER_MemoryType, int64_t) noexcept {
  if (buffer_userp != nullptr) static_cast<OwnBuffer*>(buffer_userp)->drop();
  return nullptr;
}

void TritonInstance::on_release(TRITONSERVER_InferenceRequest*, uint32_t flags, void* userp) noexcept {
  if ((flags & TRITONSERVER_REQUEST_RELEASE_ALL) != 0) static_cast<TritonInstance*>(userp)->leave(kRequest);
}

void TritonInstance::on_response(TRITONSERVER_InferenceResponse* response, uint32_t flags, void* userp) noexcept {
  auto* self = static_cast<TritonInstance*>(userp);
  if (response != nullptr) {
    self->take_response(response);
    const TritonError ignored(triton().InferenceResponseDelete(response));
  }
  if ((flags & TRITONSERVER_RESPONSE_COMPLETE_FINAL) == 0) return;
  self->completion_->mark_end();
  self->leave(kResponse);
}

void TritonInstance::take_response(TRITONSERVER_InferenceResponse* response) noexcept {
  std::lock_guard lock(mutex_);
  answered_ = true;
  if (gone_ || !status_.is_ok()) return;
  // Made for this call, whatever the header says of its owner.
  status_ = called(triton().InferenceResponseError(response));
  if (!status_.is_ok()) return;
  uint32_t count = 0;
  const TritonError error(triton().InferenceResponseOutputCount(response, &count));
  for (uint32_t index = 0; index < count && status_.is_ok(); ++index) status_ = take_output(response, index);
  // A decoupled model may end with a response that has no outputs: the end alone.
  if (!model_->decoupled() || count == 0 || !status_.is_ok() || completion_->part(0)) return;
  gone_ = true;  // nobody reads it any more
  terminate();
}

Status TritonInstance::take_output(TRITONSERVER_InferenceResponse* response, uint32_t index) noexcept {
  const char* name = nullptr;
  TRITONSERVER_DataType type = TRITONSERVER_TYPE_INVALID;
  const int64_t* shape = nullptr;
  uint64_t rank = 0;
  const void* base = nullptr;
  size_t bytes = 0;
  TRITONSERVER_MemoryType memory = TRITONSERVER_MEMORY_CPU;
  int64_t memory_id = 0;
  void* userp = nullptr;
  Status status = called(triton().InferenceResponseOutput(response, index, &name, &type, &shape, &rank, &base, &bytes,
                                                          &memory, &memory_id, &userp));
  if (!status.is_ok()) return status;
  const int output = model_->output_index(name);
  if (output < 0) return Status::ok();  // a backend may say more than the configuration promises
  const TensorSpec& spec = model_->spec().outputs[static_cast<size_t>(output)];
  uint64_t elements = 0;
  if (type != triton_type(spec.type) || rank > kMaxRank || !element_count(shape, rank, &elements) ||
      (spec.type != DataType::kBytes && elements * element_size(spec.type) != bytes)) {
    return wrong_output(name, type, std::span(shape, rank), bytes);
  }
  const std::span<const int64_t> dimensions(shape, rank);
  const auto place = static_cast<size_t>(output);
  auto* own = static_cast<OwnBuffer*>(userp);
  if (model_->decoupled()) {
    if (own != nullptr) {
      completion_->adopt_for(0, place, dimensions, own->share(bytes));
    } else {
      completion_->allocate_for(0, place, dimensions, 0);
    }
  } else if (own != nullptr) {
    completion_->adopt(place, dimensions, own->share(bytes));
  } else if (bytes > 0) {
    completion_->set_shape(place, dimensions);
  } else {
    completion_->allocate(place, dimensions, 0);
  }
  return Status::ok();
}

// One of those who use the request is done with it; the last one ends the run.
void TritonInstance::leave(uint32_t who) noexcept {
  // acq_rel: the last one sees what the others wrote.
  const uint32_t before = waiting_.fetch_and(~who, std::memory_order_acq_rel);
  if (before != who) return;
  switch_.end();
  if (trace_ != nullptr) record_stages();
  trace_ = nullptr;
  Status status = std::move(status_);
  if (status.is_ok() && !answered_ && !model_->decoupled()) {
    status = Status::quiet(Code::kEngineFailed, "the model ended the request without a response");
  }
  completion_->done(std::move(status));  // the last touch: another thread may be in execute() from here on
}

void TritonInstance::record_stages() noexcept {
  const auto between = [this](size_t from, size_t to) {
    return times_[from] == 0 || times_[to] < times_[from] ? int64_t{-1}
                                                          : static_cast<int64_t>(times_[to] - times_[from]);
  };
  model_->record({between(TRITONSERVER_TRACE_QUEUE_START, TRITONSERVER_TRACE_COMPUTE_START),
                  between(TRITONSERVER_TRACE_COMPUTE_START, TRITONSERVER_TRACE_COMPUTE_INPUT_END),
                  between(TRITONSERVER_TRACE_COMPUTE_INPUT_END, TRITONSERVER_TRACE_COMPUTE_OUTPUT_START),
                  between(TRITONSERVER_TRACE_COMPUTE_OUTPUT_START, TRITONSERVER_TRACE_COMPUTE_END)});
}

void TritonInstance::on_trace(TRITONSERVER_InferenceTrace* trace, TRITONSERVER_InferenceTraceActivity activity,
                              uint64_t timestamp_ns, void* userp) noexcept {
  auto* self = static_cast<TritonInstance*>(userp);
  // An ensemble traces its steps as well.
  if (trace == self->trace_ && static_cast<size_t>(activity) < self->times_.size()) {
    self->times_[static_cast<size_t>(activity)] = timestamp_ns;
  }
}

void TritonInstance::on_trace_release(TRITONSERVER_InferenceTrace* trace, void* userp) noexcept {
  auto* self = static_cast<TritonInstance*>(userp);
  const bool own = trace == self->trace_;
  const TritonError ignored(triton().InferenceTraceDelete(trace));
  if (own) self->leave(kTrace);
}

}  // namespace subten
