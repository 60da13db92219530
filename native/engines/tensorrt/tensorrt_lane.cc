#include "engines/tensorrt/tensorrt_lane.h"

#include <utility>

#include "engines/cuda/graph.h"

namespace subten {
namespace {

class TensorrtProgram final : public LaneProgram {
 public:
  TensorrtProgram(const TensorrtPlanSpec& spec, const TensorrtLaneOptions& options, std::string* not_recorded)
      : spec_(spec), options_(options), not_recorded_(not_recorded) {}
  ~TensorrtProgram() override;
  Status open(CudaStream& stream, const LaneBuffers& buffers) override;
  Status run(size_t size) override;

 private:
  struct Context {
    int32_t profile = 0;
    TensorrtContext* context = nullptr;
  };
  Status open_contexts();
  TensorrtContext* context_of(size_t size) const noexcept;
  Status bind(size_t size);
  Status enqueue(size_t size);
  Status prepare(size_t size);

  const TensorrtPlanSpec& spec_;
  const TensorrtLaneOptions options_;
  std::string* not_recorded_;  // while the lane opens
  CudaStream* stream_ = nullptr;
  const LaneBuffers* buffers_ = nullptr;
  // Activations: the lane runs one batch at a time, so that its contexts share them.
  DeviceBuffer memory_;
  std::vector<Context> contexts_;
  std::vector<CudaGraph> graphs_;  // for each size; empty where runs are enqueued
};

TensorrtProgram::~TensorrtProgram() {
  // A recording uses the memory of its context.
  graphs_.clear();
  if (stream_ == nullptr) return;
  const CurrentContext current(stream_->driver(), stream_->context());
  for (const Context& each : contexts_) options_.plugin->destroy_context(each.context);
}

Status TensorrtProgram::open(CudaStream& stream, const LaneBuffers& buffers) {
  stream_ = &stream;
  buffers_ = &buffers;
  const CurrentContext current(stream.driver(), stream.context());
  if (Status status = open_contexts(); !status.is_ok()) return status;
  for (size_t size = 0; size < spec_.lane.sizes.size(); ++size) {
    if (Status status = prepare(size); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status TensorrtProgram::open_contexts() {
  if (spec_.context_memory > 0) {
    if (Status status = stream_->allocate(spec_.context_memory, &memory_); !status.is_ok()) return status;
  }
  for (const int32_t profile : spec_.profiles) {
    bool known = false;
    for (const Context& each : contexts_) known = known || each.profile == profile;
    if (known) continue;
    Context made{profile, nullptr};
    std::string sentence;
    const int32_t code = options_.plugin->create_context(options_.engine, profile, stream_->raw(), memory_.address(),
                                                         spec_.context_memory, &made.context, sink_of(&sentence));
    if (code != 0) return tensorrt_status(code, sentence + ".");
    contexts_.push_back(made);
  }
  return stream_->finish();
}

TensorrtContext* TensorrtProgram::context_of(size_t size) const noexcept {
  for (const Context& each : contexts_) {
    if (each.profile == spec_.profiles[size]) return each.context;
  }
  return nullptr;
}

Status TensorrtProgram::bind(size_t size) {
  const LanePlan& lane = spec_.lane;
  TensorrtContext* context = context_of(size);
  std::string sentence;
  for (size_t i = 0; i < lane.inputs.size(); ++i) {
    const Shape shape = lane_shape(lane, lane.inputs[i], lane.sizes[size]);
    const int32_t code =
        options_.plugin->bind_input(context, lane.inputs[i].name.c_str(), buffers_->inputs[i].address(), shape.data(),
                                    static_cast<int32_t>(shape.size()), sink_of(&sentence));
    if (code != 0) return tensorrt_status(code, sentence + ".");
  }
  for (size_t i = 0; i < lane.outputs.size(); ++i) {
    const int32_t code = options_.plugin->bind_output(context, lane.outputs[i].name.c_str(),
                                                      buffers_->outputs[i].address(), sink_of(&sentence));
    if (code != 0) return tensorrt_status(code, sentence + ".");
  }
  return Status::ok();
}

Status TensorrtProgram::enqueue(size_t size) {
  std::string sentence;
  const int32_t code = options_.plugin->enqueue(context_of(size), stream_->raw(), sink_of(&sentence));
  return tensorrt_status(code, sentence + ".");
}

// The first run of a size prepares what later ones have, and cannot be recorded.
Status TensorrtProgram::prepare(size_t size) {
  if (Status status = bind(size); !status.is_ok()) return status;
  if (Status status = enqueue(size); !status.is_ok()) return status;
  if (Status status = stream_->finish(); !status.is_ok()) return status;
  if (!options_.graphs || !not_recorded_->empty()) return Status::ok();
  CudaGraph graph;
  Status status = CudaGraph::record(
      *stream_, [&] { return enqueue(size); }, &graph);
  if (status.is_ok()) {
    graphs_.push_back(std::move(graph));
    return Status::ok();
  }
  if (stream_->lost()) return status;
  // Some layers cannot be recorded; such a plan runs as well, with more launches.
  *not_recorded_ = status.message;
  graphs_.clear();
  return Status::ok();
}

Status TensorrtProgram::run(size_t size) {
  const CurrentContext current(stream_->driver(), stream_->context());
  if (size < graphs_.size()) return graphs_[size].launch();
  if (Status status = bind(size); !status.is_ok()) return status;
  return enqueue(size);
}

}  // namespace

Status create_tensorrt_lane(const TensorrtPlanSpec& spec, const TensorrtLaneOptions& options,
                            std::unique_ptr<CudaLane>* out, std::string* not_recorded) {
  not_recorded->clear();
  return CudaLane::create(spec.lane, options.device, std::make_unique<TensorrtProgram>(spec, options, not_recorded),
                          options.stages, out);
}

}  // namespace subten
