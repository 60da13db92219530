#include "engines/onnxruntime/cuda_provider.h"

#include <string>

#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

Status no_provider(const OrtError& error) {
  return Status::error(
      Code::kNotSupported,
      "ONNX Runtime at " + loaded_ort_library().path +
          " has no CUDA execution provider. Run the model on the CPU, or load an ONNX Runtime that was "
          "built for GPUs, with its provider libraries beside it. (" +
          error.message() + ")");
}

}  // namespace

Status create_cuda_options(int device, OrtOwned<OrtCudaOptions>* out) {
  OrtCudaOptions* options = nullptr;
  if (OrtError error(ort().CreateCUDAProviderOptions(&options)); error) return no_provider(error);
  out->reset(options);
  const std::string ordinal = std::to_string(device);
  const char* key = "device_id";
  const char* value = ordinal.c_str();
  // The first call that needs the provider's library.
  if (OrtError error(ort().UpdateCUDAProviderOptions(options, &key, &value, 1)); error) return no_provider(error);
  return Status::ok();
}

Status use_cuda(int device, OrtSessionOptions* options) {
  OrtOwned<OrtCudaOptions> cuda;
  if (Status status = create_cuda_options(device, &cuda); !status.is_ok()) return status;
  if (OrtError error(ort().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get())); error) {
    return Status::error(Code::kEngineFailed, "ONNX Runtime cannot use CUDA device " + std::to_string(device) +
                                                  ". Do the driver and the versions of CUDA and cuDNN fit it? (" +
                                                  error.message() + ")");
  }
  return Status::ok();
}

}  // namespace subten
