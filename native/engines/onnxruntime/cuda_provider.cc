#include "engines/onnxruntime/cuda_provider.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <span>
#include <string_view>

#include "engines/cuda/device.h"
#include "engines/onnxruntime/cuda_libraries.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

constexpr const char* kNoCpuNodes = "session.disable_cpu_ep_fallback";
constexpr const char* kRecordNodes = "session.record_ep_graph_assignment_info";
constexpr std::string_view kCpuProvider = "CPUExecutionProvider";

// The library's own sentence, and what it logged meanwhile where that says more ("cannot open shared object file").
std::string with_log(const OrtError& error, uint64_t mark) {
  std::string text = error.message();
  for (const std::string& line : ort_log_since(mark)) {
    if (text.find(line) == std::string::npos) text += " | " + line;
  }
  return one_line(text, 900);
}

Status make_options(const CudaSettings& settings, OrtOwned<OrtCudaOptions>* out) {
  const uint64_t mark = ort_log_mark();
  OrtCudaOptions* options = nullptr;
  if (OrtError error(ort().CreateCUDAProviderOptions(&options)); error) {
    return Status::error(Code::kNotSupported, "ONNX Runtime at " + loaded_ort_library().path +
                                                  " has no CUDA execution provider that loads. (" +
                                                  with_log(error, mark) + ")");
  }
  out->reset(options);
  std::vector<const char*> keys{"device_id"};
  const std::string ordinal = std::to_string(settings.device);
  std::vector<const char*> values{ordinal.c_str()};
  for (const auto& [key, value] : settings.options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  if (OrtError error(ort().UpdateCUDAProviderOptions(options, keys.data(), values.data(), keys.size())); error) {
    return Status::error(Code::kConfigInvalid,
                         "The CUDA execution provider refuses its options. (" + with_log(error, mark) + ")");
  }
  return Status::ok();
}

std::string node_type(const OrtEpAssignedNode* node) {
  const char* type = nullptr;
  if (OrtError error(ort().EpAssignedNode_GetOperatorType(node, &type)); error || type == nullptr) return "?";
  return type;
}

std::atomic<bool>& cuda_used() noexcept {
  static std::atomic<bool> used{false};
  return used;
}

struct ProviderNodes {
  size_t count = 0;
  std::vector<std::string> types;
};

}  // namespace

Status use_cuda(const CudaSettings& settings, OrtSessionOptions* options) {
  CudaDevice device;
  if (Status status = find_cuda_device(settings.device, &device); !status.is_ok()) return status;
  const CudaDriver* driver = nullptr;
  if (Status status = load_cuda_driver(&driver); !status.is_ok()) return status;
  if (Status status =
          load_cuda_libraries(loaded_ort_library().path, settings.library_path, cuda_driver_version(*driver));
      !status.is_ok()) {
    return status;
  }
  OrtOwned<OrtCudaOptions> cuda;
  if (Status status = make_options(settings, &cuda); !status.is_ok()) return status;
  const uint64_t mark = ort_log_mark();
  if (OrtError error(ort().SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda.get())); error) {
    return Status::error(Code::kEngineFailed, "ONNX Runtime cannot use CUDA device " + std::to_string(settings.device) +
                                                  ", " + describe(device) +
                                                  ". Do the versions of CUDA and cuDNN fit it? (" +
                                                  with_log(error, mark) + ")");
  }
  const char* no_cpu = settings.cpu_nodes ? "0" : "1";
  if (OrtError error(ort().AddSessionConfigEntry(options, kNoCpuNodes, no_cpu)); error) {
    return Status::error(Code::kEngineVersion,
                         std::string("ONNX Runtime refused ") + kNoCpuNodes + ": " + error.message());
  }
  cuda_used().store(true, std::memory_order_relaxed);  // a fact on its own
  // Only for what is shown to users.
  if (OrtStatus* ignored = ort().AddSessionConfigEntry(options, kRecordNodes, "1"); ignored != nullptr) {
    ort().ReleaseStatus(ignored);
  }
  return Status::ok();
}

bool cuda_was_used() noexcept { return cuda_used().load(std::memory_order_relaxed); }

Status lock_request_memory(const CudaSettings& settings, void* start, uint64_t bytes, PinnedRegion* region) {
  Status status = region->lock(settings.device, start, bytes);
  if (!status.is_ok()) status.message += " (pinnedMemory: false computes without)";
  return status;
}

std::string where_nodes_run(const OrtSession* session) {
  const OrtEpAssignedSubgraph* const* graphs = nullptr;
  size_t count = 0;
  if (OrtError error(ort().Session_GetEpGraphAssignmentInfo(session, &graphs, &count)); error) return {};
  std::map<std::string, ProviderNodes, std::greater<>> providers;  // CUDA before CPU
  for (const OrtEpAssignedSubgraph* graph : std::span(graphs, count)) {
    const char* name = nullptr;
    if (OrtError error(ort().EpAssignedSubgraph_GetEpName(graph, &name)); error || name == nullptr) return {};
    const OrtEpAssignedNode* const* nodes = nullptr;
    size_t node_count = 0;
    if (OrtError error(ort().EpAssignedSubgraph_GetNodes(graph, &nodes, &node_count)); error) return {};
    ProviderNodes& provider = providers[name];
    provider.count += node_count;
    for (const OrtEpAssignedNode* node : std::span(nodes, node_count)) {
      std::string type = node_type(node);
      if (std::find(provider.types.begin(), provider.types.end(), type) == provider.types.end()) {
        provider.types.push_back(std::move(type));
      }
    }
  }
  std::string text;
  for (const auto& [name, provider] : providers) {
    text += (text.empty() ? "" : ", ") + name + " " + std::to_string(provider.count);
    if (name != kCpuProvider) continue;
    for (size_t i = 0; i < provider.types.size(); ++i) text += (i == 0 ? " (" : ", ") + provider.types[i];
    text += ")";
  }
  return text;
}

}  // namespace subten
