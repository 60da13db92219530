#include "engines/onnxruntime/graph_lane.h"

#include <string>
#include <utility>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

constexpr const char* kGraphId = "gpu_graph_id";
constexpr const char* kNoSynchronize = "disable_synchronize_execution_providers";

Status failed(const char* what, const OrtError& error) {
  return Status::error(Code::kEngineFailed, std::string(what) + ": " + error.message());
}

class GraphProgram final : public LaneProgram {
 public:
  GraphProgram(const GraphPlan& plan, GraphLaneOptions options) : plan_(plan), options_(std::move(options)) {}
  Status open(CudaStream& stream, const LaneBuffers& buffers) override;
  Status run(size_t size) override { return replay(sizes_[size]); }
  bool runs_on_host() const noexcept override { return options_.session_on_cpu; }

 private:
  struct Size {
    uint32_t rows = 0;
    OrtOwned<OrtIoBinding> binding;
    OrtOwned<OrtRunOptions> options;
    std::vector<OrtOwned<OrtValue>> values;
  };
  Status open_session(CudaStream& stream);
  Status record(CudaStream& stream, const LaneBuffers& buffers, Size* size);
  Status bind(const LaneBuffers& buffers, bool input, Size* size);
  Status replay(const Size& size);

  const GraphPlan& plan_;
  const GraphLaneOptions options_;
  // The bindings go before the session, which goes before the description of its memory.
  OrtOwned<OrtMemoryInfo> memory_;
  OrtOwned<OrtSession> session_;
  std::vector<Size> sizes_;
};

Status GraphProgram::open(CudaStream& stream, const LaneBuffers& buffers) {
  if (Status status = open_session(stream); !status.is_ok()) return status;
  sizes_ = std::vector<Size>(plan_.lane.sizes.size());
  for (size_t i = 0; i < sizes_.size(); ++i) {
    sizes_[i].rows = plan_.lane.sizes[i];
    if (Status status = record(stream, buffers, &sizes_[i]); !status.is_ok()) {
      status.message += " (graphs: false runs the model without recording it)";
      return status;
    }
  }
  return Status::ok();
}

Status GraphProgram::open_session(CudaStream& stream) {
  OrtMemoryInfo* memory = nullptr;
  const char* place = options_.session_on_cpu ? "Cpu" : "Cuda";
  if (OrtError error(ort().CreateMemoryInfo(place, OrtAllocatorType::kDevice,
                                            options_.session_on_cpu ? 0 : options_.device, OrtMemType::kDefault,
                                            &memory));
      error) {
    return failed("ONNX Runtime does not describe the device's memory", error);
  }
  memory_.reset(memory);
  OrtParameters parameters = options_.parameters;
  if (!options_.session_on_cpu) {
    parameters.cuda.cpu_nodes = false;
    parameters.cuda.options.emplace_back("enable_cuda_graph", "1");
    parameters.cuda.options.emplace_back("has_user_compute_stream", "1");
    parameters.cuda.options.emplace_back("user_compute_stream",
                                         std::to_string(reinterpret_cast<uintptr_t>(stream.raw())));
  }
  return create_ort_session(options_.model_path, parameters, &session_);
}

Status GraphProgram::bind(const LaneBuffers& buffers, bool input, Size* size) {
  const std::vector<LaneTensor>& tensors = input ? plan_.lane.inputs : plan_.lane.outputs;
  const std::vector<OrtElementType>& types = input ? plan_.input_types : plan_.output_types;
  const std::vector<DeviceBuffer>& memory = input ? buffers.inputs : buffers.outputs;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const LaneTensor& tensor = tensors[i];
    const Shape shape = lane_shape(plan_.lane, tensor, size->rows);
    OrtValue* value = nullptr;
    if (OrtError error(ort().CreateTensorWithDataAsOrtValue(memory_.get(), reinterpret_cast<void*>(memory[i].address()),
                                                            tensor.row_bytes * size->rows, shape.data(), shape.size(),
                                                            types[i], &value));
        error) {
      return failed("ONNX Runtime takes no memory of the device", error);
    }
    size->values.emplace_back(value);
    const auto bind_one = input ? ort().BindInput : ort().BindOutput;
    if (OrtError error(bind_one(size->binding.get(), tensor.name.c_str(), value)); error) {
      return failed("ONNX Runtime does not bind a tensor", error);
    }
  }
  return Status::ok();
}

Status GraphProgram::record(CudaStream& stream, const LaneBuffers& buffers, Size* size) {
  OrtIoBinding* binding = nullptr;
  if (OrtError error(ort().CreateIoBinding(session_.get(), &binding)); error) {
    return failed("ONNX Runtime makes no binding", error);
  }
  size->binding.reset(binding);
  OrtRunOptions* run = nullptr;
  if (OrtError error(ort().CreateRunOptions(&run)); error) return failed("ONNX Runtime makes no run options", error);
  size->options.reset(run);
  if (Status status = bind(buffers, true, size); !status.is_ok()) return status;
  if (Status status = bind(buffers, false, size); !status.is_ok()) return status;
  if (!options_.session_on_cpu) {
    if (OrtError error(ort().AddRunConfigEntry(run, kGraphId, std::to_string(size->rows).c_str())); error) {
      return failed("ONNX Runtime refused gpu_graph_id", error);
    }
  }
  // ONNX Runtime runs a size once to have its memory, then records it; the second call replays it.
  for (int i = 0; i < 2; ++i) {
    if (Status status = replay(*size); !status.is_ok()) return status;
    if (Status status = stream.finish(); !status.is_ok()) return status;
  }
  // From now on the lane waits itself, once, for the copies as well.
  if (OrtError error(ort().AddRunConfigEntry(run, kNoSynchronize, "1")); error) {
    return failed("ONNX Runtime refused to leave the waiting to subten", error);
  }
  return Status::ok();
}

Status GraphProgram::replay(const Size& size) {
  if (OrtError error(ort().RunWithBinding(session_.get(), size.options.get(), size.binding.get())); error) {
    return failed("ONNX Runtime failed to run the model", error);
  }
  return Status::ok();
}

}  // namespace

Status create_graph_lane(const GraphPlan& plan, GraphLaneOptions options, std::unique_ptr<CudaLane>* out) {
  const int device = options.device;
  LaneStages* const stages = options.stages;
  return CudaLane::create(plan.lane, device, std::make_unique<GraphProgram>(plan, std::move(options)), stages, out);
}

}  // namespace subten
