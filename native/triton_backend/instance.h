// An instance of a model: takes the requests that the server hands over together.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engines/engine.h"
#include "triton_backend/model.h"
#include "triton_backend/request.h"
#include "triton_backend/run.h"
#include "triton_backend/triton_api.h"

namespace subten::triton_backend {

class ServedInstance {
 public:
  static Status create(ModelInstance* instance, ServedModel& model, std::unique_ptr<ServedInstance>* out);

  // Answers and releases every request. Not null: nothing was done, the requests are still the server's.
  Error* execute(Request** requests, uint32_t count) noexcept;

 private:
  ServedInstance(ModelInstance* instance, const ModelConfig& config, std::shared_ptr<OrtModelState> session);

  // The requests from `first` on that can run together with it, in `group_`.
  void form_group(uint32_t first, uint32_t count);
  void run_group(std::span<ServedRequest* const> group, int64_t start_ns) noexcept;
  void report(uint32_t count, int64_t start_ns) noexcept;

  ModelInstance* const instance_;
  const ModelConfig& config_;
  const std::shared_ptr<OrtModelState> session_;
  std::unique_ptr<EngineInstance> engine_;
  GroupRun run_;
  std::vector<ServedRequest> requests_;
  std::vector<ServedRequest*> group_;
};

}  // namespace subten::triton_backend
