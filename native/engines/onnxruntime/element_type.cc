#include "engines/onnxruntime/element_type.h"

namespace subten {

std::optional<DataType> datatype_of(OrtElementType type) noexcept {
  switch (type) {
    case OrtElementType::kFloat:
      return DataType::kFp32;
    case OrtElementType::kUint8:
      return DataType::kUint8;
    case OrtElementType::kInt8:
      return DataType::kInt8;
    case OrtElementType::kUint16:
      return DataType::kUint16;
    case OrtElementType::kInt16:
      return DataType::kInt16;
    case OrtElementType::kInt32:
      return DataType::kInt32;
    case OrtElementType::kInt64:
      return DataType::kInt64;
    case OrtElementType::kString:
      return DataType::kBytes;
    case OrtElementType::kBool:
      return DataType::kBool;
    case OrtElementType::kFloat16:
      return DataType::kFp16;
    case OrtElementType::kDouble:
      return DataType::kFp64;
    case OrtElementType::kUint32:
      return DataType::kUint32;
    case OrtElementType::kUint64:
      return DataType::kUint64;
    case OrtElementType::kBfloat16:
      return DataType::kBf16;
    default:
      return std::nullopt;
  }
}

std::string_view element_type_name(OrtElementType type) noexcept {
  static constexpr std::string_view kNames[] = {
      "UNDEFINED",      "FLOAT",      "UINT8",          "INT8",       "UINT16",   "INT16",
      "INT32",          "INT64",      "STRING",         "BOOL",       "FLOAT16",  "DOUBLE",
      "UINT32",         "UINT64",     "COMPLEX64",      "COMPLEX128", "BFLOAT16", "FLOAT8E4M3FN",
      "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4",      "INT4",     "FLOAT4E2M1",
      "UINT2",          "INT2"};
  const auto index = static_cast<size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "of an unknown type";
}

std::string_view value_kind_name(OrtValueKind kind) noexcept {
  switch (kind) {
    case OrtValueKind::kTensor:
      return "tensor";
    case OrtValueKind::kSequence:
      return "sequence";
    case OrtValueKind::kMap:
      return "map";
    case OrtValueKind::kSparseTensor:
      return "sparse tensor";
    case OrtValueKind::kOptional:
      return "optional";
    default:
      return "value of an opaque type";
  }
}

}  // namespace subten
