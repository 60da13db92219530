// One model of Triton as subten's executor sees it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "engines/triton/server.h"

namespace subten {

// Loads the model that `options` names, starting the server if none runs.
Status open_triton_model(const EngineOptions& options, std::unique_ptr<EngineModel>* out);

// Latencies inside Triton, from its trace of a request.
enum TritonStage : uint8_t { kTritonQueue = 0, kTritonInput, kTritonCompute, kTritonOutput };
inline constexpr size_t kTritonStages = 4;

class TritonInstance;

class TritonModel final : public EngineModel {
 public:
  TritonModel(std::shared_ptr<TritonServer> server, std::string name);
  ~TritonModel() override;

  const ModelSpec& spec() const noexcept override { return spec_; }
  Completion completion() const noexcept override { return Completion::kAsync; }
  Status create_instance(std::unique_ptr<EngineInstance>* out) override;
  bool slow_to_close() const noexcept override { return true; }
  bool takes_attributes() const noexcept override { return true; }
  void each_stage(const std::function<void(std::string_view, const Histogram&)>& visit) const override;
  void reset_stages() noexcept override;

  // Before anything else is called: reads metadata and configuration; `wanted` is the version, "" for the newest.
  Status describe(const std::string& wanted);

  TRITONSERVER_Server* server() const noexcept { return server_->raw(); }
  const std::string& name() const noexcept { return name_; }
  int64_t version() const noexcept { return version_; }
  bool decoupled() const noexcept { return decoupled_; }
  // Triton's own queue orders requests by priority.
  bool has_priorities() const noexcept { return has_priorities_; }
  // Index of an output by its name, or -1.
  int output_index(std::string_view name) const noexcept;
  TRITONSERVER_ResponseAllocator* allocator() const noexcept { return allocator_; }
  // Requests are kept for the next run; this deletes those of every model, while no run is on.
  static void drop_all_requests() noexcept;
  void add(TritonInstance* instance);
  void remove(TritonInstance* instance) noexcept;

  // Latencies inside Triton of one request, nanoseconds; below 0: not known. Any thread; left out when another thread
  // records at this moment.
  void record(const int64_t (&nanoseconds)[kTritonStages]) noexcept;

 private:
  Status choose_version(const std::string& metadata, const std::string& wanted);
  Status read_tensors(const std::string& metadata, const std::string& config);

  const std::shared_ptr<TritonServer> server_;
  const std::string name_;
  int64_t version_ = -1;
  bool decoupled_ = false;
  bool has_priorities_ = false;
  bool in_use_ = false;  // use_model() has succeeded
  ModelSpec spec_;
  TRITONSERVER_ResponseAllocator* allocator_ = nullptr;
  std::atomic_flag recording_;
  Histogram stages_[kTritonStages];
  std::mutex mutex_;
  std::vector<TritonInstance*> instances_;

  friend Status open_triton_model(const EngineOptions& options, std::unique_ptr<EngineModel>* out);
};

}  // namespace subten
