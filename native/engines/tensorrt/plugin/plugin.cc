// The table of plugin_abi.h over TensorRT, compiled once for each ABI of it.
#include <dlfcn.h>

#include <string>

#include "engines/tensorrt/plugin/api.h"

namespace subten::trt {
namespace {

template <class Function>
bool find(void* library, const char* name, Function* out) noexcept {
  void* symbol = dlsym(library, name);
  *out = reinterpret_cast<Function>(symbol);
  return symbol != nullptr;
}

int32_t use(void* library, void* parser, TensorrtSink error) {
  Api& self = api();
  for (const bool found : {find(library, "createInferBuilder_INTERNAL", &self.create_builder),
                           find(library, "createInferRuntime_INTERNAL", &self.create_runtime),
                           find(library, "createInferRefitter_INTERNAL", &self.create_refitter),
                           find(library, "getInferLibVersion", &self.lib_version)}) {
    // A lean or dispatch runtime has no builder; what must be there is checked where it is used.
    (void)found;
  }
  if (self.create_runtime == nullptr || self.lib_version == nullptr) {
    return failed(Code::kEngineVersion, "the library has none of TensorRT's functions", error);
  }
  if (parser != nullptr) {
    find(parser, "createNvOnnxParser_INTERNAL", &self.create_parser);
    find(parser, "createNvOnnxParserRefitter_INTERNAL", &self.create_parser_refitter);
  }
  return 0;
}

constexpr TensorrtPlugin kPlugin{
    kTensorrtAbi, NV_TENSORRT_MAJOR, NV_TENSORRT_MINOR, SUBTEN_TENSORRT_RTX, use,        build,       open,    close,
    refit,        describe,          create_context,    destroy_context,     bind_input, bind_output, enqueue,
};

}  // namespace
}  // namespace subten::trt

extern "C" __attribute__((visibility("default"))) const subten::TensorrtPlugin* subten_tensorrt_plugin() {
  return &subten::trt::kPlugin;
}
