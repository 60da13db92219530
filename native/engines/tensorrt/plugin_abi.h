// The border between the addon and the shared objects that call TensorRT (plugin/): plain C types, no exception, no C++
// object. TensorRT's own ABI breaks between majors and differs in TensorRT for RTX, so there is one shared object for
// each, of one source; the addon is compiled without TensorRT's headers and tested with a shared object of the tests'.
#pragma once

#include <cstdint>

namespace subten {

// Changes with every change below: the addon refuses a shared object of another number.
inline constexpr uint32_t kTensorrtAbi = 2;
inline constexpr const char* kTensorrtPluginSymbol = "subten_tensorrt_plugin";

// Where text and bytes go; `put` copies what it is given, and may be called more than once.
struct TensorrtSink {
  void* context;
  void (*put)(void* context, const void* data, uint64_t bytes) noexcept;
};

struct TensorrtEngine;   // a deserialised plan
struct TensorrtContext;  // an execution context of one profile

// Calls that can fail return 0, or else a subten::Code and a sentence in `error`. Names end with a zero.
struct TensorrtPlugin {
  uint32_t abi;
  int32_t major;  // of the headers: 10, 11; for RTX 1
  int32_t minor;
  uint8_t is_rtx;

  // Once, before all else: handles of dlopen for TensorRT's library and its ONNX parser (null: no building).
  int32_t (*use)(void* library, void* parser, TensorrtSink error);

  // Parses an ONNX model and builds a plan. `request` and `report` are JSON (build.cc has the fields).
  int32_t (*build)(const char* request, uint64_t bytes, TensorrtSink plan, TensorrtSink report, TensorrtSink error);

  // The rest needs a device that the driver has started: TensorRT crashes without one.
  // `weight_budget`: bytes of the weights that stay on the device, the others are streamed; below 0: all of them.
  int32_t (*open)(const void* plan, uint64_t bytes, int64_t weight_budget, TensorrtEngine** out, TensorrtSink error);
  void (*close)(TensorrtEngine* engine);
  // Takes the weights of an ONNX model, of a refittable plan; before the first context.
  int32_t (*refit)(TensorrtEngine* engine, const char* model, TensorrtSink error);
  // JSON: tensors, profiles and what else the engine says of itself (runtime.cc has the fields).
  int32_t (*describe)(const TensorrtEngine* engine, TensorrtSink json, TensorrtSink error);
  // The engine outlives the context. `stream` is a CUstream; it must be idle before the context is used. `memory`: on
  // the device, at least what describe() says of the profile; contexts that run one after the other may share it.
  int32_t (*create_context)(TensorrtEngine* engine, int32_t profile, void* stream, uint64_t memory,
                            uint64_t memory_bytes, TensorrtContext** out, TensorrtSink error);
  void (*destroy_context)(TensorrtContext* context);
  // Addresses on the device, which must hold the tensor until the run is done.
  int32_t (*bind_input)(TensorrtContext* context, const char* name, uint64_t address, const int64_t* shape,
                        int32_t rank, TensorrtSink error);
  int32_t (*bind_output)(TensorrtContext* context, const char* name, uint64_t address, TensorrtSink error);
  // Puts the run into the stream, which may be recording.
  int32_t (*enqueue)(TensorrtContext* context, void* stream, TensorrtSink error);
};

using GetTensorrtPlugin = const TensorrtPlugin* (*)();

}  // namespace subten
