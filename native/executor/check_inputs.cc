#include "executor/check_inputs.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

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

// Says what is wrong; without memory for the sentence the code goes alone.
template <typename... Parts>
Code refuse(Code code, std::string* message, const Parts&... parts) noexcept {
  try {
    message->clear();
    (message->append(parts), ...);
  } catch (...) {
    message->clear();
  }
  return code;
}

std::string_view digits(uint64_t value, std::array<char, 20>& text) noexcept {
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  return {text.data(), static_cast<size_t>(end - text.data())};
}

Code check_staged(ModelCore& core, const Submission& submission, size_t index, const StagedInput& staged,
                  std::string* message) noexcept {
  const TensorSpec& spec = core.spec().inputs[index];
  InputRecord& record = core.input(submission.slot, index);
  const auto bad = [&](const char* what) {
    return refuse(Code::kInvalidInput, message, "input '", spec.name, "': ", what);
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
  std::array<char, 20> given, limit;
  if (submission.priority > settings.levels.size()) {
    return refuse(Code::kInvalidInput, message, "priority ", digits(submission.priority, given),
                  " is above priority_levels ", digits(settings.levels.size(), limit));
  }
  if (submission.rows == 0 || (!core.batches() && submission.rows != 1)) {
    return refuse(Code::kInvalidInput, message, "a request needs at least one row");
  }
  if (submission.rows > settings.batch_capacity()) {
    return refuse(Code::kBatchTooLarge, message, "the request has ", digits(submission.rows, given),
                  " rows; max_batch_size is ", digits(settings.batch_capacity(), limit));
  }
  if (!submission.staged) {
    if (submission.slot >= core.home_slots() || submission.rows != 1) {
      return refuse(Code::kInvalidInput, message, "the slot has no home rows for this request");
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
