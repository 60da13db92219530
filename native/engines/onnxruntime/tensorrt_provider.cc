#include "engines/onnxruntime/tensorrt_provider.h"

#include "engines/onnxruntime/cuda_libraries.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

Status make_options(const TensorrtProviderSettings& settings, int device, OrtOwned<OrtTensorrtOptions>* out) {
  const uint64_t mark = ort_log_mark();
  OrtTensorrtOptions* options = nullptr;
  if (OrtError error(ort().CreateTensorRTProviderOptions(&options)); error) {
    return Status::error(Code::kNotSupported, "ONNX Runtime at " + loaded_ort_library().path +
                                                  " has no TensorRT execution provider that loads. (" +
                                                  ort_error_with_log(error, mark) + ")");
  }
  out->reset(options);
  std::vector<const char*> keys{"device_id"};
  const std::string ordinal = std::to_string(device);
  std::vector<const char*> values{ordinal.c_str()};
  for (const auto& [key, value] : settings.options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  if (OrtError error(ort().UpdateTensorRTProviderOptions(options, keys.data(), values.data(), keys.size())); error) {
    return Status::error(Code::kConfigInvalid, "The TensorRT execution provider refuses its options. (" +
                                                   ort_error_with_log(error, mark) + ")");
  }
  return Status::ok();
}

}  // namespace

Status use_tensorrt_provider(const TensorrtProviderSettings& settings, int device, int driver_version,
                             const std::string& directories, OrtSessionOptions* options) {
  if (Status status = load_tensorrt_libraries(loaded_ort_library().path, directories, driver_version);
      !status.is_ok()) {
    return status;
  }
  OrtOwned<OrtTensorrtOptions> tensorrt;
  if (Status status = make_options(settings, device, &tensorrt); !status.is_ok()) return status;
  const uint64_t mark = ort_log_mark();
  if (OrtError error(ort().SessionOptionsAppendExecutionProvider_TensorRT_V2(options, tensorrt.get())); error) {
    return Status::error(Code::kEngineFailed, "ONNX Runtime cannot use TensorRT on CUDA device " +
                                                  std::to_string(device) + ". Does its version fit the provider? (" +
                                                  ort_error_with_log(error, mark) + ")");
  }
  return Status::ok();
}

}  // namespace subten
