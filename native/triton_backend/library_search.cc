#include "triton_backend/library_search.h"

#include <sys/stat.h>

#include <cstdlib>

#include "engines/onnxruntime/cuda_provider.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten::triton_backend {
namespace {

constexpr const char* kVariable = "SUBTEN_ONNXRUNTIME_LIBRARY";
// As subten's packages name it, and as ONNX Runtime's own do.
constexpr const char* kNames[] = {"libsubten_onnxruntime.so.1", "libonnxruntime.so.1", "libonnxruntime.so"};

}  // namespace

std::string find_ort_library(const LibraryChoice& choice) {
  if (!choice.parameter.empty()) return choice.parameter;
  if (!choice.backend_config.empty()) return choice.backend_config;
  const char* variable = std::getenv(kVariable);
  if (variable != nullptr && *variable != '\0') return variable;
  for (const char* name : kNames) {
    std::string path = choice.folder + "/" + name;
    struct stat information {};
    if (!choice.folder.empty() && stat(path.c_str(), &information) == 0) return path;
  }
  return {};
}

Status load_ort(const LibraryChoice& choice) {
  // Whoever uses ONNX Runtime in this process already, and names no other library, is given that one.
  const bool named = !choice.parameter.empty() || !choice.backend_config.empty();
  if (!named && !loaded_ort_library().path.empty()) return Status::ok();
  const std::string path = find_ort_library(choice);
  Status status = load_ort_library(path);
  if (status.is_ok()) return status;
  if (status.code == Code::kConfigInvalid) {
    const OrtLibrary loaded = loaded_ort_library();
    status.message = "The library " + path + " is wanted, but this server already uses ONNX Runtime " + loaded.version +
                     " from " + loaded.path + "; one process uses one library: name the same file for every model.";
  } else if (path.empty()) {
    status.message =
        "ONNX Runtime was not found. Name its library in the model's parameter onnxruntime_library, in "
        "--backend-config=subten_onnxruntime,onnxruntime_library=FILE or in " +
        std::string(kVariable) + ", or put " + kNames[0] + " into " + choice.folder + ".";
  }
  return status;
}

bool ort_has_cuda() {
  CudaSettings first;
  first.device = 0;
  OrtSessionOptions* raw_options = nullptr;
  if (OrtError error(ort().CreateSessionOptions(&raw_options)); error) return false;
  const OrtOwned<OrtSessionOptions> options(raw_options);
  return use_cuda(first, raw_options).is_ok();
}

}  // namespace subten::triton_backend
