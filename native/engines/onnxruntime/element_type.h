// Element types of ONNX beside the datatypes of KServe.
#pragma once

#include <iterator>
#include <optional>
#include <string_view>

#include "engines/onnxruntime/ort_api.h"
#include "memory/tensor.h"

namespace subten {

// Nothing for a type that has no KServe datatype (FP8, INT4, complex).
std::optional<DataType> datatype_of(OrtElementType type) noexcept;
// For messages: "FLOAT8E4M3FN".
std::string_view element_type_name(OrtElementType type) noexcept;
// For messages: "sequence".
std::string_view value_kind_name(OrtValueKind kind) noexcept;

}  // namespace subten
