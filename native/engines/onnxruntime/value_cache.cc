#include "engines/onnxruntime/value_cache.h"

#include <algorithm>
#include <string>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {

OrtValue* ValueCache::value_over(void* data, uint64_t bytes, std::span<const int64_t> shape, OrtElementType type,
                                 Status* status) {
  for (Entry& entry : entries_) {
    if (entry.value && entry.data == data && entry.bytes == bytes && entry.rank == shape.size() &&
        std::equal(shape.begin(), shape.end(), entry.shape.begin())) {
      return entry.value.get();
    }
  }
  if (shape.size() > kMaxRank) {
    *status = Status::error(Code::kInvalidInput, "has more than " + std::to_string(kMaxRank) + " dimensions");
    return nullptr;
  }
  // An empty tensor may lie nowhere; the library wants an address all the same.
  static char nowhere[16];
  OrtValue* made = nullptr;
  if (OrtError error(ort().CreateTensorWithDataAsOrtValue(ort_cpu_memory(), data == nullptr ? nowhere : data, bytes,
                                                          shape.data(), shape.size(), type, &made));
      error) {
    *status = Status::error(Code::kInvalidInput, "is refused by ONNX Runtime: " + error.message());
    return nullptr;
  }
  Entry& entry = entries_[next_];
  next_ = (next_ + 1) % kWays;
  entry.data = data;
  entry.bytes = bytes;
  entry.rank = static_cast<uint8_t>(shape.size());
  std::copy(shape.begin(), shape.end(), entry.shape.begin());
  entry.value.reset(made);
  return made;
}

}  // namespace subten
