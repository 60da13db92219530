// String tensors: the wire format (each element a little-endian uint32 length and its bytes) into and out of ONNX
// Runtime's values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engines/onnxruntime/ort_api.h"
#include "memory/buffer_handle.h"
#include "memory/status.h"

namespace subten {

// Reads elements one after the other and never outside `bytes`, even while another thread writes to them.
class WireStrings {
 public:
  WireStrings(const void* data, uint64_t bytes) noexcept : data_(static_cast<const char*>(data)), bytes_(bytes) {}
  // The next element, or nothing at the end and where an element would reach beyond the data.
  std::optional<std::string_view> next() noexcept;
  uint64_t left() const noexcept { return bytes_ - position_; }

 private:
  const char* data_;
  uint64_t bytes_;
  uint64_t position_ = 0;
};

// Writes the elements in `data` to elements [first, first + count) of a string tensor. INVALID_INPUT when `data` does
// not hold exactly `count` of them; what was written until then stays.
Status fill_strings(OrtValue* value, uint64_t first, uint64_t count, const void* data, uint64_t bytes);
// Writes the same text to elements [first, first + count).
Status fill_with(OrtValue* value, uint64_t first, uint64_t count, std::string_view text);

// The elements of a string tensor in wire format, in memory of malloc that `out->release` frees. `offsets` is scratch.
Status strings_to_wire(const OrtValue* value, uint64_t count, std::vector<size_t>* offsets, BufferHandle* out);

}  // namespace subten
