#include "memory/tensor.h"

#include <array>

namespace subten {
namespace {

struct Entry {
  std::string_view name;
  size_t size;
};

constexpr std::array<Entry, kDataTypeCount> kTypes = {{
    {"BOOL", 1},
    {"UINT8", 1},
    {"UINT16", 2},
    {"UINT32", 4},
    {"UINT64", 8},
    {"INT8", 1},
    {"INT16", 2},
    {"INT32", 4},
    {"INT64", 8},
    {"FP16", 2},
    {"BF16", 2},
    {"FP32", 4},
    {"FP64", 8},
    {"BYTES", 0},
}};

}  // namespace

size_t element_size(DataType type) noexcept { return kTypes[static_cast<size_t>(type)].size; }

std::string_view datatype_name(DataType type) noexcept { return kTypes[static_cast<size_t>(type)].name; }

bool element_count(const int64_t* dims, size_t rank, uint64_t* count) noexcept {
  uint64_t product = 1;
  for (size_t i = 0; i < rank; ++i) {
    if (dims[i] < 0) return false;
    if (__builtin_mul_overflow(product, static_cast<uint64_t>(dims[i]), &product)) return false;
  }
  *count = product;
  return true;
}

}  // namespace subten
