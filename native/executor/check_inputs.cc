#include "executor/check_inputs.h"

#include <cmath>
#include <cstring>

#include "executor/model_core.h"

namespace subten {
namespace {

// Each element: uint32 length, then the bytes; exactly `elements` of them in exactly `bytes`.
bool strings_are_whole(const std::byte* data, uint64_t bytes, uint64_t elements) noexcept {
  uint64_t at = 0;
  for (uint64_t i = 0; i < elements; ++i) {
    uint32_t length;
    if (bytes - at < sizeof length) return false;
    std::memcpy(&length, data + at, sizeof length);
    at += sizeof length;
    if (bytes - at < length) return false;
    at += length;
  }
  return at == bytes;
}

Code check_staged(ModelCore& core, const Submission& submission, size_t index, const StagedInput& staged,
                  std::string* message) noexcept {
  const TensorSpec& spec = core.spec().inputs[index];
  InputRecord& record = core.input(submission.slot, index);
  const auto bad = [&](const char* what) {
    *message = "input '" + spec.name + "': " + what;
    return Code::kInvalidInput;
  };
  record.present = staged.present != 0 ? 1 : 0;
  if (record.present == 0) return spec.optional ? Code::kOk : bad("missing");
  if (!(staged.rank >= 0) || staged.rank > static_cast<double>(kMaxRank) || staged.rank != spec.shape.size()) {
    return bad("the number of dimensions differs from the model's");
  }
  record.rank = static_cast<uint32_t>(staged.rank);
  for (uint32_t i = 0; i < record.rank; ++i) {
    const double dim = staged.shape[i];
    if (!(dim >= 0) || dim > 9e15 || dim != std::floor(dim)) return bad("a dimension is not a whole number from 0");
    record.shape[i] = static_cast<int64_t>(dim);
    const bool batch_dim = i == 0 && core.batches();
    if (batch_dim ? record.shape[i] != submission.rows : (spec.shape[i] >= 0 && spec.shape[i] != record.shape[i])) {
      return bad("a dimension differs from the model's");
    }
  }
  uint64_t elements = 0;
  if (!element_count(record.shape, record.rank, &elements)) return bad("the shape overflows");
  if (spec.type == DataType::kBytes) {
    if (!(staged.bytes >= 0) || staged.bytes > 9e15) return bad("its size is not a number");
    record.bytes = static_cast<uint64_t>(staged.bytes);
  } else if (__builtin_mul_overflow(elements, element_size(spec.type), &record.bytes)) {
    return bad("the shape overflows");
  }
  if (record.extent == 0 || record.bytes > record.capacity) return bad("its memory is smaller than its shape");
  if (spec.type == DataType::kBytes &&
      !strings_are_whole(core.slab().data() + record.extent - 1, record.bytes, elements)) {
    return bad("its serialised strings are not whole");
  }
  return Code::kOk;
}

}  // namespace

Code check_inputs(ModelCore& core, const Submission& submission, const StagedInput* staging,
                  std::string* message) noexcept {
  const BatchSettings& settings = core.options().batch;
  if (submission.priority > settings.levels.size()) {
    *message = "priority " + std::to_string(submission.priority) + " is above priority_levels " +
               std::to_string(settings.levels.size());
    return Code::kInvalidInput;
  }
  if (submission.rows == 0 || (!core.batches() && submission.rows != 1)) {
    *message = "a request needs at least one row";
    return Code::kInvalidInput;
  }
  if (submission.rows > settings.batch_capacity()) {
    *message = "the request has " + std::to_string(submission.rows) + " rows; max_batch_size is " +
               std::to_string(settings.batch_capacity());
    return Code::kBatchTooLarge;
  }
  if (!submission.staged) {
    if (submission.slot >= core.home_slots() || submission.rows != 1) {
      *message = "the slot has no home rows for this request";
      return Code::kInvalidInput;
    }
    return Code::kOk;
  }
  for (size_t index = 0; index < core.spec().inputs.size(); ++index) {
    const Code code = check_staged(core, submission, index, staging[index], message);
    if (code != Code::kOk) return code;
  }
  return Code::kOk;
}

}  // namespace subten
