// A look into an ONNX file that ONNX Runtime would not load.
#pragma once

#include <optional>
#include <string>

#include "engines/onnxruntime/ort_api.h"

namespace subten {

struct UnsupportedTensor {
  bool output = false;
  std::string name;
  OrtElementType type = OrtElementType::kUndefined;
};

// The first input or output of the model whose element type has no datatype here. The library refuses some of these
// models (complex numbers) without saying which tensor it was. Nothing when the file cannot be read as a model.
std::optional<UnsupportedTensor> find_unsupported_tensor(const std::string& path);

}  // namespace subten
