// The part of CUDA's driver API that subten uses, declared by us and looked up at run time: nothing of CUDA is needed
// to build, and none at run time unless a model asks for it.
//
// Public API of the driver (libcuda.so.1, CUDA 11.4 or newer). Entries whose names end in _v2 or _v3 there keep that
// in the lookup and lose it here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/status.h"

namespace subten {

using CuResult = int32_t;  // CUresult
using CuDeviceNumber = int32_t;
using CuAddress = uint64_t;  // CUdeviceptr
using CuContext = struct CuContextObject*;
using CuStream = struct CuStreamObject*;
using CuEvent = struct CuEventObject*;
using CuGraph = struct CuGraphObject*;
using CuGraphExec = struct CuGraphExecObject*;
struct CuUuid {
  unsigned char bytes[16];
};

namespace cu {
inline constexpr CuResult kSuccess = 0;
inline constexpr CuResult kOutOfMemory = 2;
inline constexpr CuResult kNoDevice = 100;
inline constexpr CuResult kNotReady = 600;
inline constexpr CuResult kHostMemoryAlreadyRegistered = 712;

inline constexpr int kMultiprocessors = 16;  // CU_DEVICE_ATTRIBUTE_*
inline constexpr int kComputeMajor = 75;
inline constexpr int kComputeMinor = 76;

inline constexpr unsigned kRegisterPortable = 1;  // CU_MEMHOSTREGISTER_PORTABLE: pinned for every context
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr int kCaptureThreadLocal = 1;  // calls of other threads do not spoil the recording
}  // namespace cu

using CuHostFunction = void (*)(void* argument);

// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
struct CudaDriver {
  CuResult (*cuInit)(unsigned flags);
  CuResult (*cuDriverGetVersion)(int* version);  // 13000 = CUDA 13.0
  CuResult (*cuGetErrorName)(CuResult, const char** text);
  CuResult (*cuGetErrorString)(CuResult, const char** text);
  CuResult (*cuDeviceGetCount)(int* count);
  CuResult (*cuDeviceGet)(CuDeviceNumber*, int ordinal);
  CuResult (*cuDeviceGetName)(char* name, int bytes, CuDeviceNumber);
  CuResult (*cuDeviceGetUuid)(CuUuid*, CuDeviceNumber);
  CuResult (*cuDeviceGetAttribute)(int* value, int attribute, CuDeviceNumber);
  CuResult (*cuDeviceTotalMem)(size_t* bytes, CuDeviceNumber);
  CuResult (*cuDevicePrimaryCtxRetain)(CuContext*, CuDeviceNumber);
  CuResult (*cuDevicePrimaryCtxRelease)(CuDeviceNumber);
  CuResult (*cuCtxPushCurrent)(CuContext);
  CuResult (*cuCtxPopCurrent)(CuContext*);
  CuResult (*cuMemHostRegister)(void* start, size_t bytes, unsigned flags);
  CuResult (*cuMemHostUnregister)(void* start);
  CuResult (*cuMemAllocAsync)(CuAddress*, size_t bytes, CuStream);
  CuResult (*cuMemFreeAsync)(CuAddress, CuStream);
  CuResult (*cuMemcpyHtoDAsync)(CuAddress to, const void* from, size_t bytes, CuStream);
  CuResult (*cuMemcpyDtoHAsync)(void* to, CuAddress from, size_t bytes, CuStream);
  CuResult (*cuStreamCreate)(CuStream*, unsigned flags);
  CuResult (*cuStreamSynchronize)(CuStream);
  CuResult (*cuStreamQuery)(CuStream);  // kNotReady while work is on
  CuResult (*cuStreamWaitEvent)(CuStream, CuEvent, unsigned flags);
  CuResult (*cuStreamDestroy)(CuStream);
  // `function` runs on a thread of the driver, after all work before it; it must not call the driver.
  CuResult (*cuLaunchHostFunc)(CuStream, CuHostFunction function, void* argument);
  CuResult (*cuEventCreate)(CuEvent*, unsigned flags);
  CuResult (*cuEventRecord)(CuEvent, CuStream);
  CuResult (*cuEventQuery)(CuEvent);
  CuResult (*cuEventElapsedTime)(float* milliseconds, CuEvent start, CuEvent end);
  CuResult (*cuEventDestroy)(CuEvent);
  CuResult (*cuStreamBeginCapture)(CuStream, int mode);
  CuResult (*cuStreamEndCapture)(CuStream, CuGraph*);
  CuResult (*cuGraphInstantiateWithFlags)(CuGraphExec*, CuGraph, unsigned long long flags);
  CuResult (*cuGraphLaunch)(CuGraphExec, CuStream);
  CuResult (*cuGraphExecDestroy)(CuGraphExec);
  CuResult (*cuGraphDestroy)(CuGraph);
};
// NOLINTEND(readability-identifier-naming)

// Loads the driver and starts it (cuInit) once a process; SUBTEN_CUDA_DRIVER names another file than libcuda.so.1. It
// is never unloaded. ENGINE_NOT_FOUND without a driver, NOT_SUPPORTED where it has no device or refuses to start. A
// failure is not remembered. Thread safe.
Status load_cuda_driver(const CudaDriver** out);

// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
std::string cuda_error_text(const CudaDriver& driver, CuResult result);

// A failed call as an error: OUT_OF_MEMORY for the device's memory, else ENGINE_FAILED.
Status cuda_failure(const CudaDriver& driver, CuResult result, const char* what);

}  // namespace subten
