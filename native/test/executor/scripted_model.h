// An engine whose run is a function of the test.
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "engines/engine.h"

namespace subten {

using Run = std::function<void(const BatchView&, BatchCompletion*)>;

// FP32 in and out, [-1, 64] unless a test wants another shape.
class ScriptedModel final : public EngineModel {
 public:
  explicit ScriptedModel(Run run, Shape shape = {-1, 64}) : run_(std::move(run)) {
    spec_.inputs = {{"input", DataType::kFp32, shape}};
    spec_.outputs = {{"output", DataType::kFp32, shape}};
  }
  const ModelSpec& spec() const noexcept override { return spec_; }
  Completion completion() const noexcept override { return Completion::kSync; }
  Status create_instance(std::unique_ptr<EngineInstance>* out) override {
    *out = std::make_unique<Instance>(&run_);
    return Status::ok();
  }

 private:
  struct Instance final : EngineInstance {
    explicit Instance(Run* run) : run(run) {}
    void execute(const BatchView& batch, BatchCompletion* completion) noexcept override { (*run)(batch, completion); }
    Run* run;
  };
  Run run_;
  ModelSpec spec_;
};

// Echoes, but not before the test says so: what happens while an instance is busy does not hang on timing.
struct Gate {
  std::atomic<uint32_t> running{0};
  std::atomic<bool> open{false};

  std::unique_ptr<EngineModel> model() {
    return std::make_unique<ScriptedModel>([this](const BatchView& batch, BatchCompletion* completion) {
      ++running;
      while (!open) std::this_thread::yield();
      const BatchTensor& input = batch.inputs[0];
      std::memcpy(completion->allocate(0, input.shape, input.bytes), input.data, input.bytes);
      completion->done(Status::ok());
    });
  }
  void wait_until_running() const {
    while (running == 0) std::this_thread::yield();
  }
};

}  // namespace subten
