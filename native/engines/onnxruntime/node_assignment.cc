#include "engines/onnxruntime/node_assignment.h"

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

constexpr const char* kNoCpuNodes = "session.disable_cpu_ep_fallback";
constexpr const char* kRecordNodes = "session.record_ep_graph_assignment_info";
constexpr std::string_view kCpuProvider = "CPUExecutionProvider";

struct ProviderNodes {
  size_t count = 0;
  std::vector<std::string> types;
};

std::string node_type(const OrtEpAssignedNode* node) {
  const char* type = nullptr;
  if (OrtError error(ort().EpAssignedNode_GetOperatorType(node, &type)); error || type == nullptr) return "?";
  return type;
}

}  // namespace

Status set_cpu_nodes(bool allowed, OrtSessionOptions* options) {
  if (OrtError error(ort().AddSessionConfigEntry(options, kNoCpuNodes, allowed ? "0" : "1")); error) {
    return Status::error(Code::kEngineVersion,
                         std::string("ONNX Runtime refused ") + kNoCpuNodes + ": " + error.message());
  }
  // Only for what is shown to users.
  OrtError ignored(ort().AddSessionConfigEntry(options, kRecordNodes, "1"));
  return Status::ok();
}

std::string where_nodes_run(const OrtSession* session) {
  const OrtEpAssignedSubgraph* const* graphs = nullptr;
  size_t count = 0;
  if (OrtError error(ort().Session_GetEpGraphAssignmentInfo(session, &graphs, &count)); error) return {};
  std::map<std::string, ProviderNodes, std::greater<>> providers;  // the others before the CPU
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
