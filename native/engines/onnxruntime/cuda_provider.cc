#include "engines/onnxruntime/cuda_provider.h"

#include <atomic>

#include "engines/cuda/device.h"
#include "engines/onnxruntime/cuda_libraries.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/node_assignment.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

Status make_options(const CudaSettings& settings, OrtOwned<OrtCudaOptions>* out) {
  const uint64_t mark = ort_log_mark();
  OrtCudaOptions* options = nullptr;
  if (OrtError error(ort().CreateCUDAProviderOptions(&options)); error) {
    return Status::error(Code::kNotSupported, "ONNX Runtime at " + loaded_ort_library().path +
                                                  " has no CUDA execution provider that loads. (" +
                                                  ort_error_with_log(error, mark) + ")");
  }
  out->reset(options);
  std::vector<const char*> keys{"device_id"};
  const std::string ordinal = std::to_string(settings.device);
  std::vector<const char*> values{ordinal.c_str()};
  for (const auto& [key, value] : settings.options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  if (OrtError error(ort().UpdateCUDAProviderOptions(options, keys.data(), values.data(), keys.size())); error) {
    return Status::error(Code::kConfigInvalid,
                         "The CUDA execution provider refuses its options. (" + ort_error_with_log(error, mark) + ")");
  }
  return Status::ok();
}

Status append_cuda(const CudaSettings& settings, const CudaDevice& device, int driver_version,
                   OrtSessionOptions* options) {
  Status status = load_cuda_libraries(loaded_ort_library().path, settings.library_path, driver_version);
  if (!status.is_ok()) return status;
  OrtOwned<OrtCudaOptions> cuda;
  if (status = make_options(settings, &cuda); !status.is_ok()) return status;
  const uint64_t mark = ort_log_mark();
  if (OrtError error(ort().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get())); error) {
    return Status::error(Code::kEngineFailed, "ONNX Runtime cannot use CUDA device " + std::to_string(settings.device) +
                                                  ", " + describe(device) +
                                                  ". Do the versions of CUDA and cuDNN fit it? (" +
                                                  ort_error_with_log(error, mark) + ")");
  }
  return Status::ok();
}

std::atomic<bool>& cuda_used() noexcept {
  static std::atomic<bool> used{false};
  return used;
}

}  // namespace

Status use_cuda(const CudaSettings& settings, OrtSessionOptions* options) {
  CudaDevice device;
  if (Status status = find_cuda_device(settings.device, &device); !status.is_ok()) return status;
  const CudaDriver* driver = nullptr;
  if (Status status = load_cuda_driver(&driver); !status.is_ok()) return status;
  const int version = cuda_driver_version(*driver);
  if (settings.tensorrt.used) {
    Status status = use_tensorrt_provider(settings.tensorrt, settings.device, version, settings.library_path, options);
    if (!status.is_ok()) return status;
  }
  if (!settings.tensorrt.used || settings.tensorrt.cuda_nodes) {
    if (Status status = append_cuda(settings, device, version, options); !status.is_ok()) return status;
  }
  if (Status status = set_cpu_nodes(settings.cpu_nodes, options); !status.is_ok()) return status;
  cuda_used().store(true, std::memory_order_relaxed);  // a fact on its own
  return Status::ok();
}

bool cuda_was_used() noexcept { return cuda_used().load(std::memory_order_relaxed); }

Status lock_request_memory(const CudaSettings& settings, void* start, uint64_t bytes, PinnedRegion* region) {
  Status status = region->lock(settings.device, start, bytes);
  if (!status.is_ok()) status.message += " (pinnedMemory: false computes without)";
  return status;
}

}  // namespace subten
