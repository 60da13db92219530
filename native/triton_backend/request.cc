#include "triton_backend/request.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "triton_backend/errors.h"

namespace subten::triton_backend {
namespace {

// By DataType.
constexpr std::array<ServerType, kDataTypeCount> kServerTypes = {
    ServerType::kBool, ServerType::kUint8, ServerType::kUint16, ServerType::kUint32, ServerType::kUint64,
    ServerType::kInt8, ServerType::kInt16, ServerType::kInt32,  ServerType::kInt64,  ServerType::kFp16,
    ServerType::kBf16, ServerType::kFp32,  ServerType::kFp64,   ServerType::kBytes,
};

// Longest piece of a request that is kept for the next.
constexpr size_t kKeptBytes = 1 << 20;

Status invalid(const std::string& name, const std::string& what) {
  return Status::error(Code::kInvalidInput, "The input '" + name + "' " + what + ".");
}

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t index = 0; index < shape.size(); ++index) {
    text += (index == 0 ? "" : ", ") + std::to_string(shape[index]);
  }
  return text + "]";
}

bool shape_fits(std::span<const int64_t> given, const Shape& declared) noexcept {
  if (given.size() != declared.size()) return false;
  for (size_t d = 0; d < given.size(); ++d) {
    if (given[d] < 0 || (declared[d] != -1 && declared[d] != given[d])) return false;
  }
  return true;
}

// What the type and the shape say of the bytes.
Status check_bytes(const TensorSpec& spec, std::span<const int64_t> shape, uint64_t bytes) {
  uint64_t count = 0;
  uint64_t needed = 0;
  if (!element_count(shape.data(), shape.size(), &count)) return invalid(spec.name, "has a shape out of bounds");
  if (spec.type == DataType::kBytes) {
    // Each element begins with four bytes of length.
    if (count <= bytes / sizeof(uint32_t)) return Status::ok();
    return invalid(spec.name, "has " + std::to_string(bytes) + " bytes, too few for the " + std::to_string(count) +
                                  " elements of its shape " + shape_text(shape));
  }
  if (__builtin_mul_overflow(count, element_size(spec.type), &needed) || needed != bytes) {
    return invalid(spec.name, "has " + std::to_string(bytes) + " bytes, but its shape " + shape_text(shape) +
                                  " needs " + std::to_string(needed));
  }
  return Status::ok();
}

}  // namespace

ServerType server_type(DataType type) noexcept { return kServerTypes[static_cast<size_t>(type)]; }

Status copy_bytes(void* to, ServerMemory to_memory, const void* from, ServerMemory from_memory, uint64_t bytes) {
  if (bytes == 0) return Status::ok();
  if (to_memory != ServerMemory::kGpu && from_memory != ServerMemory::kGpu) {
    std::memcpy(to, from, bytes);
    return Status::ok();
  }
  if (api().cudaMemcpy == nullptr) {
    return Status::error(Code::kNotSupported,
                         "A tensor lies in GPU memory, but this server brings no CUDA runtime: send it in CPU memory.");
  }
  if (const int failure = api().cudaMemcpy(to, from, bytes, kCudaCopyAnyDirection); failure != 0) {
    return Status::error(Code::kEngineFailed,
                         "A tensor in GPU memory cannot be copied (CUDA error " + std::to_string(failure) + ").");
  }
  return Status::ok();
}

void ServedRequest::begin(Request* request, const ModelSpec& spec, bool batches, int64_t max_batch_size) {
  request_ = request;
  response_ = nullptr;
  status_ = {};
  cancelled_ = false;
  sent_ok_ = false;
  grouped = false;
  compute_start_ns = 0;
  compute_end_ns = 0;
  log_error(api().TRITONBACKEND_ResponseNew(&response_, request), "Triton gives no response");
  try {
    if (api().TRITONBACKEND_RequestIsCancelled != nullptr) {
      log_error(api().TRITONBACKEND_RequestIsCancelled(request, &cancelled_), "Triton knows no cancellation");
    }
    if (cancelled_) return;
    status_ = read_inputs(spec, batches, max_batch_size);
    if (status_.is_ok()) status_ = read_outputs(spec);
  } catch (const std::bad_alloc&) {
    status_.code = Code::kOutOfMemory;
  }
}

void ServedRequest::fail(Status status) noexcept {
  if (status_.is_ok()) status_ = std::move(status);
}

Status ServedRequest::read_inputs(const ModelSpec& spec, bool batches, int64_t max_batch_size) {
  const size_t count = spec.inputs.size();
  inputs_.assign(count, RequestInput{});
  tensors_.resize(count);
  pieces_.resize(count);
  present_.fill(false);
  rows_ = 1;
  has_rows_ = false;
  uint32_t given = 0;
  if (Status status = taken(api().TRITONBACKEND_RequestInputCount(request_, &given), "Triton counts no inputs");
      !status.is_ok()) {
    return status;
  }
  for (uint32_t index = 0; index < given; ++index) {
    if (Status status = read_input(index, spec, batches); !status.is_ok()) return status;
  }
  for (size_t index = 0; index < count; ++index) {
    if (present_[index] || spec.inputs[index].optional) continue;
    return invalid(spec.inputs[index].name, "is missing");
  }
  if (batches && rows_ > max_batch_size) {
    return Status::error(Code::kBatchTooLarge, "The request has " + std::to_string(rows_) +
                                                   " rows; the model takes at most " + std::to_string(max_batch_size) +
                                                   " (max_batch_size).");
  }
  return Status::ok();
}

Status ServedRequest::read_input(uint32_t index, const ModelSpec& spec, bool batches) {
  Input* handle = nullptr;
  const char* name = nullptr;
  ServerType type{};
  const int64_t* dims = nullptr;
  uint32_t rank = 0;
  uint64_t bytes = 0;
  uint32_t buffers = 0;
  Status status = taken(api().TRITONBACKEND_RequestInputByIndex(request_, index, &handle), "Triton gives no input");
  if (!status.is_ok()) return status;
  status = taken(api().TRITONBACKEND_InputProperties(handle, &name, &type, &dims, &rank, &bytes, &buffers),
                 "Triton does not describe an input");
  if (!status.is_ok()) return status;

  size_t place = 0;
  while (place < spec.inputs.size() && spec.inputs[place].name != name) ++place;
  if (place == spec.inputs.size()) return Status::ok();  // a control of the sequence batcher that the model ignores
  const TensorSpec& declared = spec.inputs[place];
  std::span<const int64_t> shape(dims, rank);
  // A configuration cannot name a tensor without dimensions; it is one element there.
  if (declared.shape.empty() && rank == 1 && dims[0] == 1) shape = {};
  if (type != server_type(declared.type)) {
    return invalid(declared.name, "has another datatype than the model's " + std::string(datatype_name(declared.type)));
  }
  if (!shape_fits(shape, declared.shape)) {
    return invalid(declared.name,
                   "has the shape " + shape_text(shape) + "; the model takes " + shape_text(declared.shape));
  }
  if (status = check_bytes(declared, shape, bytes); !status.is_ok()) return status;
  if (batches && !declared.optional) {
    if (has_rows_ && rows_ != static_cast<uint64_t>(dims[0])) {
      return invalid(declared.name,
                     "has " + std::to_string(dims[0]) + " rows, the inputs before it " + std::to_string(rows_));
    }
    if (dims[0] > INT32_MAX) return invalid(declared.name, "has too many rows");
    rows_ = static_cast<uint32_t>(dims[0]);
    has_rows_ = true;
  }

  RequestInput& input = inputs_[place];
  input.handle = handle;
  input.buffers = buffers;
  input.bytes = bytes;
  tensors_[place].shape.assign(shape.begin(), shape.end());
  tensors_[place].bytes = bytes;
  if (buffers == 1) {
    ServerMemory memory = ServerMemory::kCpu;
    int64_t device = 0;
    const void* data = nullptr;
    status = taken(api().TRITONBACKEND_InputBuffer(handle, 0, &data, &bytes, &memory, &device),
                   "Triton does not give an input's data");
    if (!status.is_ok()) return status;
    if (bytes != input.bytes) return invalid(declared.name, "has another size than its buffer");
    if (memory != ServerMemory::kGpu) input.in_place = data;
  }
  tensors_[place].data = input.in_place;
  present_[place] = true;
  return Status::ok();
}

Status ServedRequest::read_outputs(const ModelSpec& spec) {
  wanted_.fill(false);
  uint32_t count = 0;
  if (Status status = taken(api().TRITONBACKEND_RequestOutputCount(request_, &count), "Triton counts no outputs");
      !status.is_ok()) {
    return status;
  }
  for (uint32_t index = 0; index < count; ++index) {
    const char* name = nullptr;
    if (Status status = taken(api().TRITONBACKEND_RequestOutputName(request_, index, &name), "Triton names no output");
        !status.is_ok()) {
      return status;
    }
    size_t place = 0;
    while (place < spec.outputs.size() && spec.outputs[place].name != name) ++place;
    if (place == spec.outputs.size()) {
      return Status::error(Code::kInvalidInput, "The model has no output '" + std::string(name) + "'.");
    }
    wanted_[place] = true;
  }
  return Status::ok();
}

bool ServedRequest::fits(const ServedRequest& other) const noexcept {
  for (size_t index = 0; index < inputs_.size(); ++index) {
    if (present_[index] != other.present_[index]) return false;
    if (!present_[index]) continue;
    const Shape& mine = tensors_[index].shape;
    const Shape& theirs = other.tensors_[index].shape;
    if (mine.empty() || !std::equal(mine.begin() + 1, mine.end(), theirs.begin() + 1, theirs.end())) return false;
  }
  return true;
}

Status ServedRequest::gather(size_t index, void* to) const {
  const RequestInput& input = inputs_[index];
  auto* place = static_cast<char*>(to);
  uint64_t left = input.bytes;
  for (uint32_t buffer = 0; buffer < input.buffers; ++buffer) {
    ServerMemory memory = ServerMemory::kCpu;
    int64_t device = 0;
    const void* data = nullptr;
    uint64_t bytes = 0;
    if (Status status = taken(api().TRITONBACKEND_InputBuffer(input.handle, buffer, &data, &bytes, &memory, &device),
                              "Triton does not give an input's data");
        !status.is_ok()) {
      return status;
    }
    if (bytes > left) return Status::error(Code::kInvalidInput, "An input has more data than its shape needs.");
    if (Status status = copy_bytes(place, ServerMemory::kCpu, data, memory, bytes); !status.is_ok()) return status;
    place += bytes;
    left -= bytes;
  }
  if (left != 0) return Status::error(Code::kInvalidInput, "An input has less data than its shape needs.");
  return Status::ok();
}

Status ServedRequest::in_one_piece(size_t index) {
  RequestTensor& tensor = tensors_[index];
  if (inputs_[index].in_place != nullptr || tensor.bytes == 0) return Status::ok();
  std::vector<char>& piece = pieces_[index];
  piece.resize(tensor.bytes);
  if (Status status = gather(index, piece.data()); !status.is_ok()) return status;
  tensor.data = piece.data();
  return Status::ok();
}

Status ServedRequest::open_output(const TensorSpec& spec, std::span<const int64_t> shape, uint64_t bytes,
                                  OutputMemory* out) {
  static constexpr int64_t kOne[] = {1};
  if (shape.empty()) shape = kOne;
  Output* output = nullptr;
  if (Status status =
          taken(api().TRITONBACKEND_ResponseOutput(response_, &output, spec.name.c_str(), server_type(spec.type),
                                                   shape.data(), static_cast<uint32_t>(shape.size())),
                "Triton does not take an output");
      !status.is_ok()) {
    return status;
  }
  int64_t device = 0;
  out->memory = ServerMemory::kCpu;
  return taken(api().TRITONBACKEND_OutputBuffer(output, &out->data, bytes, &out->memory, &device),
               "Triton gives no memory for an output");
}

void ServedRequest::restart_response() noexcept {
  log_error(api().TRITONBACKEND_ResponseDelete(response_), "Triton does not delete a response");
  response_ = nullptr;
  log_error(api().TRITONBACKEND_ResponseNew(&response_, request_), "Triton gives no response");
}

void ServedRequest::send() noexcept {
  if (response_ == nullptr) return;
  const Owned<Error> error(
      cancelled_ ? api().TRITONSERVER_ErrorNew(ErrorCode::kCancelled, "The request was cancelled before it ran.")
                 : to_error(status_));
  sent_ok_ = error == nullptr;
  log_error(api().TRITONBACKEND_ResponseSend(std::exchange(response_, nullptr), kResponseFinal, error.get()),
            "Triton does not take a response");
}

void ServedRequest::release() noexcept {
  // What a request brought is gone with it.
  std::fill(inputs_.begin(), inputs_.end(), RequestInput{});
  for (std::vector<char>& piece : pieces_) {
    if (piece.capacity() > kKeptBytes) std::vector<char>().swap(piece);
  }
  log_error(api().TRITONBACKEND_RequestRelease(std::exchange(request_, nullptr), kReleaseAll),
            "Triton does not take a request back");
}

}  // namespace subten::triton_backend
