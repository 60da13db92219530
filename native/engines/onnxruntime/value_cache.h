// OrtValues over memory of the caller, kept from one batch to the next.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"
#include "memory/tensor.h"

namespace subten {

// The values of one tensor of an instance. A value is a pointer and a shape, nothing is copied; the staging memory of
// an instance and the extents of a busy model come back batch after batch, so the last few are kept. Making and
// releasing one takes about 0.1 µs and three allocations; a run of a small model takes 2 µs.
class ValueCache {
 public:
  // A value over `data`, valid until kWays more misses. Null with `*status` set on failure.
  OrtValue* value_over(void* data, uint64_t bytes, std::span<const int64_t> shape, OrtElementType type, Status* status);

 private:
  static constexpr size_t kWays = 8;
  struct Entry {
    void* data = nullptr;
    uint64_t bytes = 0;
    uint8_t rank = 0;
    std::array<int64_t, kMaxRank> shape{};
    OrtOwned<OrtValue> value;
  };
  std::array<Entry, kWays> entries_;
  size_t next_ = 0;  // the entry that the next miss replaces
};

}  // namespace subten
