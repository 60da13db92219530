// The functions that the server calls. No exception leaves them.
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "engines/onnxruntime/library.h"
#include "memory/status.h"
#include "triton_backend/errors.h"
#include "triton_backend/instance.h"
#include "triton_backend/library_search.h"
#include "triton_backend/model.h"
#include "triton_backend/triton_api.h"

#define SUBTEN_EXPORT extern "C" __attribute__((visibility("default")))

namespace subten::triton_backend {
namespace {

template <typename Work>
Error* guarded(Work work) noexcept {
  Status status;
  try {
    status = work();
  } catch (const std::bad_alloc&) {
    status.code = Code::kOutOfMemory;
  } catch (const std::exception& error) {
    status = Status::quiet(Code::kEngineFailed, error.what());
  }
  return to_error(status);
}

// The server checks the version of a backend by what this returns; without the functions there is no error to return.
Status check_server() {
  uint32_t major = 0;
  uint32_t minor = 0;
  if (Status status = taken(api().TRITONBACKEND_ApiVersion(&major, &minor), "Triton does not say its version");
      !status.is_ok()) {
    return status;
  }
  if (major == kApiMajor && minor >= kApiMinimumMinor) return Status::ok();
  return Status::error(Code::kNotSupported,
                       "This Triton has version " + std::to_string(major) + "." + std::to_string(minor) +
                           " of the backend API; subten_onnxruntime needs " + std::to_string(kApiMajor) + "." +
                           std::to_string(kApiMinimumMinor) + " or a newer " + std::to_string(kApiMajor) + ".x.");
}

// The library is loaded for this only where it is named or lies beside the backend: a model may name another.
bool cuda_is_there(Backend* backend) {
  BackendSettings settings;
  if (!read_backend_settings(backend, &settings).is_ok()) return false;
  if (find_ort_library(settings.library).empty()) return false;
  return load_ort(settings.library).is_ok() && ort_has_cuda();
}

ServedModel* state_of(Model* model) noexcept {
  void* state = nullptr;
  log_error(api().TRITONBACKEND_ModelState(model, &state), "Triton forgot a model");
  return static_cast<ServedModel*>(state);
}

ServedInstance* state_of(ModelInstance* instance) noexcept {
  void* state = nullptr;
  log_error(api().TRITONBACKEND_ModelInstanceState(instance, &state), "Triton forgot an instance");
  return static_cast<ServedInstance*>(state);
}

}  // namespace
}  // namespace subten::triton_backend

using namespace subten;                  // NOLINT(google-build-using-namespace): the exports stand outside
using namespace subten::triton_backend;  // NOLINT(google-build-using-namespace)

// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
SUBTEN_EXPORT Error* TRITONBACKEND_Initialize(Backend* /*backend*/) {
  if (Error* error = load_api(__builtin_return_address(0)); error != nullptr) return error;
  return guarded(check_server);
}

SUBTEN_EXPORT Error* TRITONBACKEND_Finalize(Backend* /*backend*/) { return nullptr; }

// A model that leaves its instances to the server runs on GPUs where the library can, else on the CPU.
SUBTEN_EXPORT Error* TRITONBACKEND_GetBackendAttribute(Backend* backend, BackendAttribute* attributes) {
  return guarded([&] {
    const auto prefer = api().TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup;
    if (prefer == nullptr) return Status::ok();
    if (cuda_is_there(backend)) {
      if (Status status = taken(prefer(attributes, InstanceKind::kGpu, 0, nullptr, 0), "Triton takes no preference");
          !status.is_ok()) {
        return status;
      }
    }
    return taken(prefer(attributes, InstanceKind::kCpu, 0, nullptr, 0), "Triton takes no preference");
  });
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInitialize(Model* model) {
  return guarded([&] {
    Backend* backend = nullptr;
    BackendSettings settings;
    Status status = taken(api().TRITONBACKEND_ModelBackend(model, &backend), "Triton does not name the backend");
    if (status.is_ok()) status = read_backend_settings(backend, &settings);
    std::unique_ptr<ServedModel> state;
    if (status.is_ok()) status = ServedModel::create(model, settings, &state);
    if (!status.is_ok()) return status;
    const OrtLibrary library = loaded_ort_library();
    log_line(LogLevel::kInfo, "subten_onnxruntime: model " + state->name() + " by ONNX Runtime " + library.version +
                                  " from " + library.path);
    status = taken(api().TRITONBACKEND_ModelSetState(model, state.get()), "Triton does not keep a model");
    if (status.is_ok()) static_cast<void>(state.release());  // until TRITONBACKEND_ModelFinalize
    return status;
  });
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelFinalize(Model* model) {
  const std::unique_ptr<ServedModel> state(state_of(model));
  return nullptr;
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInstanceInitialize(ModelInstance* instance) {
  return guarded([&] {
    Model* model = nullptr;
    Status status = taken(api().TRITONBACKEND_ModelInstanceModel(instance, &model), "Triton does not name the model");
    std::unique_ptr<ServedInstance> state;
    if (status.is_ok()) status = ServedInstance::create(instance, *state_of(model), &state);
    if (!status.is_ok()) return status;
    status =
        taken(api().TRITONBACKEND_ModelInstanceSetState(instance, state.get()), "Triton does not keep an instance");
    if (status.is_ok()) static_cast<void>(state.release());  // until TRITONBACKEND_ModelInstanceFinalize
    return status;
  });
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInstanceFinalize(ModelInstance* instance) {
  const std::unique_ptr<ServedInstance> state(state_of(instance));
  return nullptr;
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInstanceExecute(ModelInstance* instance, Request** requests, uint32_t count) {
  return state_of(instance)->execute(requests, count);
}
// NOLINTEND(readability-identifier-naming)
