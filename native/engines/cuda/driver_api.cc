#include "engines/cuda/driver_api.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <new>
#include <string>

namespace subten {
namespace {

constexpr const char* kVariable = "SUBTEN_CUDA_DRIVER";
constexpr const char* kSystemName = "libcuda.so.1";

// Process-wide and never destroyed, like the driver.
struct Loaded {
  std::mutex mutex;
  void* handle = nullptr;
  CudaDriver driver{};
  bool started = false;
};

Loaded& loaded() noexcept {
  alignas(Loaded) static std::byte storage[sizeof(Loaded)];
  static Loaded* const instance = new (storage) Loaded;
  return *instance;
}

// The first function that is missing, or null.
const char* look_up(void* handle, CudaDriver* driver) noexcept {
  const char* missing = nullptr;
  const auto find = [&](auto* function, const char* name) {
    void* symbol = dlsym(handle, name);
    if (symbol == nullptr && missing == nullptr) missing = name;
    *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(symbol);
  };
  find(&driver->cuInit, "cuInit");
  find(&driver->cuDriverGetVersion, "cuDriverGetVersion");
  find(&driver->cuGetErrorName, "cuGetErrorName");
  find(&driver->cuGetErrorString, "cuGetErrorString");
  find(&driver->cuDeviceGetCount, "cuDeviceGetCount");
  find(&driver->cuDeviceGet, "cuDeviceGet");
  find(&driver->cuDeviceGetName, "cuDeviceGetName");
  find(&driver->cuDeviceGetUuid, "cuDeviceGetUuid_v2");
  find(&driver->cuDeviceGetAttribute, "cuDeviceGetAttribute");
  find(&driver->cuDeviceTotalMem, "cuDeviceTotalMem_v2");
  find(&driver->cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  find(&driver->cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  find(&driver->cuCtxPushCurrent, "cuCtxPushCurrent_v2");
  find(&driver->cuCtxPopCurrent, "cuCtxPopCurrent_v2");
  find(&driver->cuMemHostRegister, "cuMemHostRegister_v2");
  find(&driver->cuMemHostUnregister, "cuMemHostUnregister");
  find(&driver->cuMemAllocAsync, "cuMemAllocAsync");
  find(&driver->cuMemFreeAsync, "cuMemFreeAsync");
  find(&driver->cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  find(&driver->cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  find(&driver->cuStreamCreate, "cuStreamCreate");
  find(&driver->cuStreamSynchronize, "cuStreamSynchronize");
  find(&driver->cuStreamQuery, "cuStreamQuery");
  find(&driver->cuStreamWaitEvent, "cuStreamWaitEvent");
  find(&driver->cuStreamDestroy, "cuStreamDestroy_v2");
  find(&driver->cuLaunchHostFunc, "cuLaunchHostFunc");
  find(&driver->cuEventCreate, "cuEventCreate");
  find(&driver->cuEventRecord, "cuEventRecord");
  find(&driver->cuEventQuery, "cuEventQuery");
  find(&driver->cuEventElapsedTime, "cuEventElapsedTime");
  find(&driver->cuEventDestroy, "cuEventDestroy_v2");
  find(&driver->cuStreamBeginCapture, "cuStreamBeginCapture_v2");
  find(&driver->cuStreamEndCapture, "cuStreamEndCapture");
  find(&driver->cuGraphInstantiateWithFlags, "cuGraphInstantiateWithFlags");
  find(&driver->cuGraphLaunch, "cuGraphLaunch");
  find(&driver->cuGraphExecDestroy, "cuGraphExecDestroy");
  find(&driver->cuGraphDestroy, "cuGraphDestroy");
  return missing;
}

std::string driver_name() {
  const char* named = std::getenv(kVariable);
  return named == nullptr || *named == '\0' ? kSystemName : named;
}

Status open_driver(Loaded& self) {
  const std::string name = driver_name();
  dlerror();
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return Status::error(Code::kEngineNotFound,
                         "This machine has no CUDA driver (" + std::string(reason == nullptr ? name : reason) +
                             "). Install NVIDIA's driver, in a container run with --gpus all, or compute on the CPU.");
  }
  if (const char* missing = look_up(handle, &self.driver); missing != nullptr) {
    return Status::error(Code::kEngineVersion, "The CUDA driver " + name + " has no function " + missing +
                                                   "; subten needs a driver for CUDA 11.4 or newer.");
  }
  self.handle = handle;
  return Status::ok();
}

}  // namespace

Status load_cuda_driver(const CudaDriver** out) {
  Loaded& self = loaded();
  const std::lock_guard lock(self.mutex);
  if (self.handle == nullptr) {
    if (Status status = open_driver(self); !status.is_ok()) return status;
  }
  if (!self.started) {
    if (const CuResult result = self.driver.cuInit(0); result != cu::kSuccess) {
      const std::string text = cuda_error_text(self.driver, result);
      if (result == cu::kNoDevice) {
        return Status::error(Code::kNotSupported,
                             "The CUDA driver sees no device (" + text +
                                 "). Is one attached, and does CUDA_VISIBLE_DEVICES or the container leave one?");
      }
      return Status::error(Code::kNotSupported, "The CUDA driver does not start: " + text +
                                                    ". Does nvidia-smi work? The driver's library and the kernel's "
                                                    "module must have the same version.");
    }
    self.started = true;
  }
  *out = &self.driver;
  return Status::ok();
}

std::string cuda_error_text(const CudaDriver& driver, CuResult result) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (driver.cuGetErrorName(result, &name) != cu::kSuccess || name == nullptr) {
    return "CUDA error " + std::to_string(result);
  }
  if (driver.cuGetErrorString(result, &text) != cu::kSuccess || text == nullptr) return name;
  return std::string(name) + " (" + text + ")";
}

Status cuda_failure(const CudaDriver& driver, CuResult result, const char* what) {
  return Status::error(result == cu::kOutOfMemory ? Code::kOutOfMemory : Code::kEngineFailed,
                       std::string(what) + ": " + cuda_error_text(driver, result));
}

}  // namespace subten
