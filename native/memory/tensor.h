// Datatypes and specifications of tensors, in the words of the KServe v2 protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace subten {

// The order is shared with src/runtime/datatype.ts; a test compares the two.
enum class DataType : uint8_t {
  kBool = 0,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,  // strings: each element is a little-endian uint32 length and its bytes, as in the KServe binary extension
};
inline constexpr size_t kDataTypeCount = 14;

// Bytes of one element; 0 for kBytes, whose elements have no fixed size.
size_t element_size(DataType type) noexcept;
std::string_view datatype_name(DataType type) noexcept;

using Shape = std::vector<int64_t>;

// Longest shape that a tensor may have; the control records shared with JS have this many places.
inline constexpr size_t kMaxRank = 8;
// Most inputs, and most outputs, of a model.
inline constexpr size_t kMaxTensors = 64;

// A tensor as the engine declares it. `shape` is the whole shape, batch dimension included; -1 = dynamic.
struct TensorSpec {
  std::string name;
  DataType type = DataType::kFp32;
  Shape shape;
  bool optional = false;
  bool ragged = false;  // config.pbtxt allow_ragged_batch
};

// Product of the dimensions; false on overflow or a negative dimension.
bool element_count(const int64_t* dims, size_t rank, uint64_t* count) noexcept;

}  // namespace subten
