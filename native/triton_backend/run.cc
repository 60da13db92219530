#include "triton_backend/run.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "engines/onnxruntime/string_tensor.h"
#include "metrics/clock.h"

namespace subten::triton_backend {
namespace {

constexpr size_t kAlignment = 64;

// Bytes of the next `count` strings; nothing if the data ends before.
std::optional<uint64_t> bytes_of(WireStrings* strings, uint64_t count) noexcept {
  const uint64_t before = strings->left();
  for (uint64_t index = 0; index < count; ++index) {
    if (!strings->next()) return std::nullopt;
  }
  return before - strings->left();
}

}  // namespace

void Staging::Free::operator()(void* memory) const noexcept { std::free(memory); }

void* Staging::room(uint64_t bytes) {
  if (bytes > bytes_ || !memory_) {
    // Half as much again, so that growing batches do not allocate each time.
    const uint64_t grown = (std::max<uint64_t>(bytes, bytes_ + bytes_ / 2) / kAlignment + 1) * kAlignment;
    memory_.reset();
    bytes_ = 0;
    memory_.reset(std::aligned_alloc(kAlignment, grown));
    if (!memory_) throw std::bad_alloc();
    bytes_ = grown;
  }
  return memory_.get();
}

GroupRun::GroupRun(const ModelSpec& spec, bool batches)
    : spec_(spec), batches_(batches), staging_(spec.inputs.size()), outlets_(spec.outputs.size()) {}

bool GroupRun::run(EngineInstance& engine, std::span<ServedRequest* const> group) noexcept {
  group_ = group;
  start_ns_ = 0;
  end_ns_ = 0;
  status_ = {};
  try {
    status_ = prepare(group);
    if (status_.is_ok()) {
      const BatchView batch{
          .rows = rows_, .requests = views_, .inputs = tensors_, .wanted = {wanted_.data(), spec_.outputs.size()}};
      engine.execute(batch, this);
      if (status_.code == Code::kEngineFailed && group.size() > 1) {
        clear();
        return false;
      }
      if (status_.is_ok()) status_ = share_out();
    }
  } catch (const std::bad_alloc&) {
    status_ = Status{Code::kOutOfMemory, {}};
  }
  if (!status_.is_ok()) {
    for (ServedRequest* request : group) request->fail(Status::quiet(status_.code, status_.message.c_str()));
  }
  for (ServedRequest* request : group) {
    request->compute_start_ns = start_ns_;
    request->compute_end_ns = end_ns_;
  }
  clear();
  return true;
}

Status GroupRun::prepare(std::span<ServedRequest* const> group) {
  rows_ = 0;
  views_.clear();
  tensors_.resize(spec_.inputs.size());
  wanted_.fill(false);
  for (ServedRequest* request : group) {
    rows_ += request->rows();
    for (size_t index = 0; index < spec_.outputs.size(); ++index) wanted_[index] |= request->wants(index);
  }
  // The engine computes one output at least.
  if (std::find(wanted_.begin(), wanted_.end(), true) == wanted_.end()) wanted_[0] = true;
  for (size_t index = 0; index < spec_.inputs.size(); ++index) {
    if (Status status = prepare_input(index); !status.is_ok()) return status;
  }
  for (ServedRequest* request : group) {
    views_.push_back({.rows = request->rows(), .inputs = request->tensors(), .present = request->present()});
  }
  return Status::ok();
}

Status GroupRun::prepare_input(size_t index) {
  BatchTensor& tensor = tensors_[index];
  ServedRequest& first = *group_.front();
  tensor.present = first.present()[index];
  if (!tensor.present) return Status::ok();
  tensor.shape = first.tensors()[index].shape;
  if (batches_ && !tensor.shape.empty()) tensor.shape[0] = rows_;
  tensor.bytes = 0;
  bool neighbours = true;
  for (ServedRequest* request : group_) {
    // Strings are read request by request, so that a malformed one fails alone.
    if (spec_.inputs[index].type == DataType::kBytes) {
      if (Status status = request->in_one_piece(index); !status.is_ok()) return status;
    } else {
      const auto* start = static_cast<const char*>(first.inputs()[index].in_place);
      neighbours = neighbours && start != nullptr && request->inputs()[index].in_place == start + tensor.bytes;
    }
    tensor.bytes += request->tensors()[index].bytes;
  }
  if (spec_.inputs[index].type == DataType::kBytes || neighbours || tensor.bytes == 0) {
    tensor.data = const_cast<void*>(first.tensors()[index].data);
    return Status::ok();
  }
  return gather(index, &tensor);
}

Status GroupRun::gather(size_t index, BatchTensor* tensor) {
  tensor->data = staging_[index].room(tensor->bytes);
  auto* place = static_cast<char*>(tensor->data);
  for (ServedRequest* request : group_) {
    const uint64_t bytes = request->tensors()[index].bytes;
    // A request whose data cannot be read fails alone: its rows are zeros.
    if (Status status = request->gather(index, place); !status.is_ok()) {
      request->fail(std::move(status));
      std::memset(place, 0, bytes);
    }
    place += bytes;
  }
  return Status::ok();
}

void GroupRun::describe(Outlet* outlet, std::span<const int64_t> shape, const void* data, uint64_t bytes) noexcept {
  outlet->filled = true;
  outlet->data = data;
  outlet->bytes = bytes;
  outlet->rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), outlet->shape.begin());
}

// The engine had been given memory for shapes that the model then did not keep: the response begins anew.
void GroupRun::begin_anew() noexcept {
  group_.front()->restart_response();
  for (Outlet& outlet : outlets_) outlet.opened = false;
}

void* GroupRun::allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept {
  Outlet& outlet = outlets_[index];
  if (outlet.opened) begin_anew();
  try {
    void* data = nullptr;
    // The response of a lone request is written straight away, unless it lies where the engine cannot write.
    if (group_.size() == 1 && group_.front()->sound()) {
      if (Status status = group_.front()->open_output(spec_.outputs[index], shape, bytes, &outlet.memory);
          !status.is_ok()) {
        group_.front()->fail(std::move(status));
      } else {
        outlet.opened = true;
        if (outlet.memory.memory != ServerMemory::kGpu) data = outlet.memory.data;
      }
    }
    if (data == nullptr) data = outlet.staging.room(bytes);
    describe(&outlet, shape, data, bytes);
    return data;
  } catch (...) {
    return nullptr;  // the engine then takes memory of its own
  }
}

void GroupRun::adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept {
  Outlet& outlet = outlets_[index];
  if (outlet.opened) begin_anew();
  describe(&outlet, shape, buffer.data, buffer.bytes);
  outlet.adopted = buffer;
}

// For decoupled models and ragged outputs, which this backend does not have.
void GroupRun::set_shape(size_t index, std::span<const int64_t> shape) noexcept {
  Outlet& outlet = outlets_[index];
  describe(&outlet, shape, outlet.data, outlet.bytes);
}

void* GroupRun::allocate_for(size_t /*request*/, size_t /*index*/, std::span<const int64_t> /*shape*/,
                             uint64_t /*bytes*/) noexcept {
  return nullptr;
}
void GroupRun::adopt_for(size_t /*request*/, size_t /*index*/, std::span<const int64_t> /*shape*/,
                         BufferHandle buffer) noexcept {
  if (buffer.release != nullptr) buffer.release(buffer.context);
}
bool GroupRun::part(size_t /*request*/) noexcept { return false; }

void GroupRun::fail(size_t request, Status status) noexcept { group_[request]->fail(std::move(status)); }

void GroupRun::mark_start() noexcept { start_ns_ = monotonic_ns(); }
void GroupRun::mark_end() noexcept { end_ns_ = monotonic_ns(); }

void GroupRun::done(Status status) noexcept {
  if (start_ns_ != 0 && end_ns_ == 0) mark_end();
  status_ = std::move(status);
}

Status GroupRun::share_out() {
  for (size_t index = 0; index < outlets_.size(); ++index) {
    if (!wanted_[index]) continue;
    if (Status status = share_out(index); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status GroupRun::share_out(size_t index) {
  Outlet& outlet = outlets_[index];
  const TensorSpec& spec = spec_.outputs[index];
  if (!outlet.filled) return Status::error(Code::kEngineFailed, "The output '" + spec.name + "' was not computed.");
  if (batches_ && (outlet.rank == 0 || outlet.shape[0] != rows_)) {
    return Status::error(Code::kEngineFailed,
                         "The output '" + spec.name + "' has " +
                             (outlet.rank == 0 ? "no" : std::to_string(outlet.shape[0])) + " rows for a batch of " +
                             std::to_string(rows_) +
                             ": the model does not batch along its first dimension; set max_batch_size: 0.");
  }
  std::span<int64_t> shape(outlet.shape.data(), outlet.rank);
  const char* data = static_cast<const char*>(outlet.data);
  uint64_t elements_a_row = 1;
  if (batches_ && !element_count(shape.data() + 1, shape.size() - 1, &elements_a_row)) elements_a_row = 0;
  WireStrings strings(outlet.data, outlet.bytes);
  for (ServedRequest* request : group_) {
    uint64_t bytes = outlet.bytes;
    if (batches_) {
      const uint64_t rows = request->rows();
      if (spec.type == DataType::kBytes) {
        const std::optional<uint64_t> found = bytes_of(&strings, rows * elements_a_row);
        if (!found) return Status::error(Code::kEngineFailed, "The output '" + spec.name + "' is cut off.");
        bytes = *found;
      } else {
        bytes = rows * elements_a_row * element_size(spec.type);
      }
      shape[0] = static_cast<int64_t>(rows);
    }
    if (request->sound() && request->wants(index)) {
      if (Status status = give(*request, index, shape, data, bytes); !status.is_ok()) request->fail(std::move(status));
    }
    data += bytes;
  }
  return Status::ok();
}

Status GroupRun::give(ServedRequest& request, size_t index, std::span<const int64_t> shape, const char* data,
                      uint64_t bytes) {
  Outlet& outlet = outlets_[index];
  if (!outlet.opened) {
    if (Status status = request.open_output(spec_.outputs[index], shape, bytes, &outlet.memory); !status.is_ok()) {
      return status;
    }
  }
  if (outlet.memory.data == data) return Status::ok();  // written there already
  return copy_bytes(outlet.memory.data, outlet.memory.memory, data, ServerMemory::kCpu, bytes);
}

void GroupRun::clear() noexcept {
  for (Outlet& outlet : outlets_) {
    if (outlet.adopted.release != nullptr) outlet.adopted.release(outlet.adopted.context);
    outlet.adopted = {};
    outlet.filled = false;
    outlet.opened = false;
    outlet.memory = {};
  }
}

}  // namespace subten::triton_backend
