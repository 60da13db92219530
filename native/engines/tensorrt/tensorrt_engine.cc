#include "engines/tensorrt/tensorrt_engine.h"

#include <atomic>
#include <cstddef>
#include <new>
#include <string>

#include "engines/tensorrt/build_plan.h"
#include "engines/tensorrt/library.h"
#include "engines/tensorrt/tensorrt_model.h"

namespace subten {
namespace {

Status out_of_memory(const char* what) { return Status::quiet(Code::kOutOfMemory, what); }

class TensorrtEngineOfProcess final : public Engine {
 public:
  std::string_view name() const noexcept override { return "tensorrt"; }
  Status ensure_loaded(const std::string& library_path) override {
    try {
      const TensorrtLibrary* library = nullptr;
      return load_tensorrt({library_path}, &library);
    } catch (const std::bad_alloc&) {
      return out_of_memory("no memory to load TensorRT");
    }
  }
  // open() loads the library, after it has looked at the plan and asked for a driver.
  Status ensure_loaded_for(const EngineOptions&) override { return Status::ok(); }
  std::string version() const override { return loaded_tensorrt().version; }
  std::string library() const override { return loaded_tensorrt().path; }
  Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) override {
    try {
      // relaxed: read at exit, long after.
      used_.store(true, std::memory_order_relaxed);
      return open_tensorrt_model(options, out);
    } catch (const std::bad_alloc&) {
      return out_of_memory("no memory to load the plan");
    }
  }
  Status call(std::string_view method, std::span<const std::string> arguments, std::string* answer) override {
    if (method != "build") return Engine::call(method, arguments, answer);
    try {
      return build_tensorrt_plan(arguments, answer);
    } catch (const std::bad_alloc&) {
      return out_of_memory("no memory to build the plan");
    }
  }
  bool loads_libraries() const noexcept override { return uses_cuda(); }
  // Threads of CUDA's libraries live on, and would meet what exit handlers take down.
  bool stop_at_exit(bool /*idle*/) noexcept override { return !uses_cuda(); }

 private:
  bool uses_cuda() const noexcept {
    return used_.load(std::memory_order_relaxed) && loaded_tensorrt().plugin != nullptr;
  }

  std::atomic<bool> used_{false};
};

}  // namespace

Engine* tensorrt_engine() noexcept {
  alignas(TensorrtEngineOfProcess) static std::byte storage[sizeof(TensorrtEngineOfProcess)];
  static Engine* const engine = new (storage) TensorrtEngineOfProcess;
  return engine;
}

}  // namespace subten
