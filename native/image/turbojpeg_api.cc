#include "image/turbojpeg_api.h"

#include <dlfcn.h>

#include <mutex>

namespace subten {
namespace {

template <typename Function>
bool find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

bool open_library(const std::string& path, TurboJpegApi* api) {
  void* library = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  // Never closed: its code may run on threads of the pool until the process ends.
  return find(library, "tj3Init", &api->init) && find(library, "tj3Destroy", &api->destroy) &&
         find(library, "tj3GetErrorStr", &api->error_text) && find(library, "tj3Set", &api->set) &&
         find(library, "tj3Get", &api->get) && find(library, "tj3DecompressHeader", &api->read_header) &&
         find(library, "tj3SetScalingFactor", &api->set_scale) && find(library, "tj3Decompress8", &api->decompress);
}

}  // namespace

const TurboJpegApi* load_turbojpeg(const std::string& path) {
  static std::once_flag once;
  static TurboJpegApi api;
  static bool found = false;
  std::call_once(once, [&] { found = open_library(path, &api); });
  return found ? &api : nullptr;
}

}  // namespace subten
