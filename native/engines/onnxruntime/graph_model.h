// A model whose runs are recorded as CUDA graphs, on a lane for each of its instances.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "engines/cuda/pinned_region.h"
#include "engines/engine.h"
#include "engines/onnxruntime/graph_lane.h"

namespace subten {

class GraphModel final : public EngineModel {
 public:
  // Sets `*out` where the settings ask for graphs and the model can be recorded; else it stays empty, `state` keeps its
  // session, and the metadata say why.
  static Status open(const EngineOptions& options, std::unique_ptr<OrtModelState>* state,
                     std::unique_ptr<EngineModel>* out);

  const ModelSpec& spec() const noexcept override { return state_->spec; }
  Completion completion() const noexcept override { return Completion::kAsync; }
  Status use_memory(void* start, uint64_t bytes) override;
  Status create_instance(std::unique_ptr<EngineInstance>* out) override;
  bool slow_to_close() const noexcept override { return true; }
  void each_stage(const std::function<void(std::string_view, const Histogram&)>& visit) const override {
    stages_.each(visit);
  }
  void reset_stages() noexcept override { stages_.reset(); }

 private:
  explicit GraphModel(std::unique_ptr<OrtModelState> state) noexcept : state_(std::move(state)) {}

  std::unique_ptr<OrtModelState> state_;
  GraphPlan plan_;
  PinnedRegion memory_;
  LaneStages stages_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<CudaLane>> lanes_;  // that no instance has yet
};

}  // namespace subten
