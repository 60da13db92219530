#include "engines/onnxruntime/onnxruntime_engine.h"

#include <cstddef>
#include <new>
#include <utility>

#include "engines/cuda/pinned_region.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/execute.h"
#include "engines/onnxruntime/graph_model.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/openvino_provider.h"
#include "engines/onnxruntime/session.h"

namespace subten {
namespace {

Status out_of_memory(const char* what) {
  return Status::error(Code::kOutOfMemory, std::string("No memory to ") + what + ".");
}

class OrtModel final : public EngineModel {
 public:
  explicit OrtModel(std::unique_ptr<OrtModelState> state) noexcept : state_(std::move(state)) {}

  const ModelSpec& spec() const noexcept override { return state_->spec; }
  Completion completion() const noexcept override { return Completion::kSync; }
  Status use_memory(void* start, uint64_t bytes) override {
    const CudaSettings& cuda = state_->parameters.cuda;
    if (!cuda.used() || !cuda.pinned) return Status::ok();
    return lock_request_memory(cuda, start, bytes, &memory_);
  }
  Status create_instance(std::unique_ptr<EngineInstance>* out) override {
    try {
      return OrtInstance::create(*state_, out);
    } catch (const std::bad_alloc&) {
      return out_of_memory("make an instance of the model");
    }
  }

 private:
  std::unique_ptr<OrtModelState> state_;
  PinnedRegion memory_;
};

class OnnxRuntimeEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "onnxruntime"; }
  Status ensure_loaded(const std::string& library_path) override {
    try {
      return load_ort_library(library_path);
    } catch (const std::bad_alloc&) {
      return out_of_memory("load ONNX Runtime");
    }
  }
  Status ensure_loaded_for(const EngineOptions& options) override {
    try {
      if (options.cuda_device >= 0) {
        return load_ort_library(options.library_path, find_setting(options, "cuda_library"));
      }
      if (find_setting(options, "openvino_only").empty()) return load_ort_library(options.library_path);
      return load_openvino_library(options);
    } catch (const std::bad_alloc&) {
      return out_of_memory("load ONNX Runtime");
    }
  }
  std::string version() const override { return loaded_ort_library().version; }
  std::string library() const override { return loaded_ort_library().path; }
  bool loads_libraries() const noexcept override { return cuda_was_used() || openvino_was_used(); }
  // Threads of CUDA's and OpenVINO's libraries live on, and would meet what exit handlers take down.
  bool stop_at_exit(bool /*idle*/) noexcept override { return !cuda_was_used() && !openvino_was_used(); }
  Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) override {
    try {
      if (Status status = ensure_loaded_for(options); !status.is_ok()) return status;
      std::unique_ptr<OrtModelState> state;
      if (Status status = open_ort_model(options, &state); !status.is_ok()) return status;
      if (Status status = GraphModel::open(options, &state, out); !status.is_ok() || *out) return status;
      *out = std::make_unique<OrtModel>(std::move(state));
      return Status::ok();
    } catch (const std::bad_alloc&) {
      return out_of_memory("load the model");
    }
  }
};

}  // namespace

Engine* onnxruntime_engine() noexcept {
  alignas(OnnxRuntimeEngine) static std::byte storage[sizeof(OnnxRuntimeEngine)];
  static Engine* const engine = new (storage) OnnxRuntimeEngine;
  return engine;
}

void set_onnxruntime_library_hint(std::string path) { set_ort_library_hint(std::move(path)); }

void set_onnxruntime_threads(int compute_threads) noexcept { set_ort_compute_threads(compute_threads); }

OnnxRuntimeThreads onnxruntime_threads() noexcept { return {ort_compute_threads()}; }

std::vector<std::string> onnxruntime_recent_log() { return ort_log_since(0); }

}  // namespace subten
