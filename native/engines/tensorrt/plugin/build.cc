// ONNX → plan. Request:
//   { "model": path, "profiles": [ { "rows": [min, opt, max] } | { "shapes": { input: [min, opt, max] } } ],
//     "targets": ["sm_80"], "hardware": "" | "ampere+" | "same", "versionCompatible": bool,
//     "weightStreaming": bool, "refit": bool, "precision": "" | "INT8" | "FP16", "tf32": bool, "timingCache": path,
//     "workspaceMb": n }
// Report:
//   { "library": "10.16.1", "layers": { "FP32": n, … }, "quantize": n, "dequantize": n, "inputs" and "outputs":
//     [ { name, datatype, shape } ], "profiles": [ { input: [min, opt, max] } ], "warnings": [ … ] }
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "engines/common/json.h"
#include "engines/tensorrt/plugin/api.h"

namespace subten::trt {
namespace {

using nvinfer1::Dims;
using nvinfer1::OptProfileSelector;

constexpr OptProfileSelector kSelectors[] = {OptProfileSelector::kMIN, OptProfileSelector::kOPT,
                                             OptProfileSelector::kMAX};

// A failure on the way, as a value.
struct Problem {
  Code code = Code::kOk;
  std::string text;
  explicit operator bool() const noexcept { return code != Code::kOk; }
};

std::string shape_text(const Dims& dims) {
  std::string text = "[";
  for (int32_t i = 0; i < dims.nbDims; ++i) text += (i > 0 ? ", " : "") + std::to_string(dims.d[i]);
  return text + "]";
}

Json shape_json(const Dims& dims) {
  std::vector<int64_t> numbers;
  for (int32_t i = 0; i < dims.nbDims; ++i) numbers.push_back(dims.d[i]);
  return Json::array(numbers);
}

bool is_dynamic(const Dims& dims) noexcept {
  for (int32_t i = 0; i < dims.nbDims; ++i) {
    if (dims.d[i] < 0) return true;
  }
  return false;
}

// The parser's words, without the lines that say only that there is no driver: none is needed to read a model.
std::string one_line(std::string_view words) {
  std::string text;
  while (!words.empty()) {
    const size_t end = std::min(words.find('\n'), words.size());
    const std::string_view line = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    if (line.empty() || line.find("cudaError 35") != std::string_view::npos) continue;
    text += (text.empty() ? "" : ": ") + std::string(line);
  }
  return text;
}

// The network points into the parser's memory (weights, shapes): the parser must outlive the build.
Problem parse(nvinfer1::INetworkDefinition& network, const std::string& model,
              std::unique_ptr<nvonnxparser::IParser>* keep) {
  if (api().create_parser == nullptr) {
    return {Code::kEngineNotFound,
            "TensorRT's ONNX parser (libnvonnxparser, for RTX libtensorrt_onnxparser_rtx) was not found beside its "
            "library: it is needed to build"};
  }
  const size_t mark = api().log.mark();
  keep->reset(static_cast<nvonnxparser::IParser*>(api().create_parser(&network, &api().log, NV_ONNX_PARSER_VERSION)));
  nvonnxparser::IParser* const parser = keep->get();
  if (parser == nullptr) return {Code::kEngineVersion, api().log.errors_since(mark, "TensorRT gives no ONNX parser")};
  if (parser->parseFromFile(model.c_str(), static_cast<int>(nvinfer1::ILogger::Severity::kWARNING))) return {};
  std::string text;
  bool quantised = false;
  for (int i = 0; i < parser->getNbErrors() && i < 3; ++i) {
    const nvonnxparser::IParserError* error = parser->getError(i);
    if (!text.empty()) text += "; ";
    text += one_line(error->desc());
    quantised = quantised || std::string_view(error->nodeOperator()).ends_with("quantizeLinear") ||
                std::string_view(error->nodeOperator()).ends_with("QuantizeLinear");
    if (const char* node = error->nodeName(); node != nullptr && *node != '\0') {
      text += std::string(" (node '") + node + "', operator " + error->nodeOperator() + ")";
    }
  }
  if (text.empty()) text = api().log.errors_since(mark, "no reason given");
  if (quantised) {
    text +=
        ". TensorRT wants symmetric INT8 and biases in floating point: `npx subten quantize MODEL --target tensorrt "
        "--calibration DATA` makes such a model";
  }
  return {Code::kModelInvalid, "TensorRT cannot read the model: " + text};
}

// One input of one profile. `rows`: three batch sizes for the first dimension; else three whole shapes.
Problem set_shapes(nvinfer1::IOptimizationProfile& profile, const nvinfer1::ITensor& input, const Json& given,
                   bool rows) {
  const Dims wanted = input.getDimensions();
  const std::string name = input.getName();
  if (given.items.size() != 3) return {Code::kConfigInvalid, "a profile has three shapes: min, opt, max"};
  for (int i = 0; i < 3; ++i) {
    Dims dims = wanted;
    if (rows) {
      if (dims.nbDims > 0 && dims.d[0] < 0) dims.d[0] = given.items[i].integer();
    } else {
      const std::vector<Json>& numbers = given.items[i].items;
      if (static_cast<int32_t>(numbers.size()) != dims.nbDims) {
        return {Code::kConfigInvalid,
                "the profile's shapes of input '" + name + "' must have the form of " + shape_text(wanted)};
      }
      for (int32_t d = 0; d < dims.nbDims; ++d) {
        const int64_t number = numbers[static_cast<size_t>(d)].integer(-1);
        if (number < 0 || (wanted.d[d] >= 0 && number != wanted.d[d])) {
          return {Code::kConfigInvalid,
                  "the profile's shapes of input '" + name + "' do not fit its shape " + shape_text(wanted)};
        }
        dims.d[d] = number;
      }
    }
    if (is_dynamic(dims)) {
      return {Code::kConfigInvalid, "input '" + name + "' has unknown dimensions beside the batch, " +
                                        shape_text(wanted) + ": the profile must give its shapes in full"};
    }
    if (!profile.setDimensions(name.c_str(), kSelectors[i], dims)) {
      return {Code::kConfigInvalid, "TensorRT refuses the shape " + shape_text(dims) + " for input '" + name + "'"};
    }
  }
  return {};
}

Problem add_profiles(nvinfer1::IBuilder& builder, nvinfer1::INetworkDefinition& network,
                     nvinfer1::IBuilderConfig& config, const Json& request, Json* report) {
  Json& profiles = report->member("profiles") = Json::array();
  bool dynamic = false;
  for (int32_t i = 0; i < network.getNbInputs(); ++i)
    dynamic = dynamic || is_dynamic(network.getInput(i)->getDimensions());
  const std::vector<Json>& given = request["profiles"].items;
  if (!dynamic) {
    if (given.empty()) return {};
    return {Code::kConfigInvalid, "the model has fixed shapes: leave the profiles out"};
  }
  if (given.empty()) return {Code::kConfigInvalid, "the model has unknown dimensions: at least one profile is needed"};
  for (const Json& each : given) {
    const size_t mark = api().log.mark();
    nvinfer1::IOptimizationProfile* profile = builder.createOptimizationProfile();
    if (profile == nullptr) return {Code::kEngineFailed, "TensorRT gives no optimisation profile"};
    Json shapes = Json::object();
    for (int32_t i = 0; i < network.getNbInputs(); ++i) {
      const nvinfer1::ITensor& input = *network.getInput(i);
      if (!is_dynamic(input.getDimensions())) continue;
      const Json* rows = each.find("rows");
      const Json& wanted = rows != nullptr ? *rows : each["shapes"][input.getName()];
      if (Problem problem = set_shapes(*profile, input, wanted, rows != nullptr)) return problem;
      Json three = Json::array();
      for (const OptProfileSelector selector : kSelectors) {
        three.items.push_back(shape_json(profile->getDimensions(input.getName(), selector)));
      }
      shapes.member(input.getName()) = std::move(three);
    }
    if (!profile->isValid() || config.addOptimizationProfile(profile) < 0) {
      return {Code::kConfigInvalid,
              "TensorRT refuses the profile: " + api().log.errors_since(mark, "min, opt and max must not fall")};
    }
    profiles.items.push_back(std::move(shapes));
  }
  return {};
}

Problem set_targets(nvinfer1::IBuilderConfig& config, const Json& request) {
  const std::vector<Json>& targets = request["targets"].items;
#if SUBTEN_TENSORRT_RTX
  if (request.find("hardware") != nullptr && !request.text_of("hardware").empty()) {
    return {Code::kNotSupported,
            "TensorRT for RTX takes compute capabilities as targets (sm_80, sm_86, sm_89, sm_120)"};
  }
  if (targets.empty()) {
    return {Code::kConfigInvalid, "TensorRT for RTX needs a target: sm_75, sm_80, sm_86, sm_89, sm_120 or sm_121"};
  }
  if (!config.setNbComputeCapabilities(static_cast<int32_t>(targets.size()))) {
    return {Code::kConfigInvalid, "TensorRT refuses so many targets"};
  }
  const std::map<std::string_view, nvinfer1::ComputeCapability> known = {
      {"sm_75", nvinfer1::ComputeCapability::kSM75},   {"sm_80", nvinfer1::ComputeCapability::kSM80},
      {"sm_86", nvinfer1::ComputeCapability::kSM86},   {"sm_89", nvinfer1::ComputeCapability::kSM89},
      {"sm_120", nvinfer1::ComputeCapability::kSM120}, {"sm_121", nvinfer1::ComputeCapability::kSM121},
  };
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto found = known.find(targets[i].text);
    if (found == known.end()) {
      return {Code::kNotSupported,
              "TensorRT for RTX builds for sm_75, sm_80, sm_86, sm_89, sm_120 and sm_121, not for '" + targets[i].text +
                  "'"};
    }
    if (!config.setComputeCapability(found->second, static_cast<int32_t>(i))) {
      return {Code::kConfigInvalid, "TensorRT refuses the target " + targets[i].text};
    }
  }
#else
  if (!targets.empty()) {
    return {Code::kNotSupported,
            "TensorRT builds for the GPU of the machine; targets are for TensorRT for RTX. --hardware ampere+ makes a "
            "plan for newer GPUs as well"};
  }
  using nvinfer1::HardwareCompatibilityLevel;
  const std::map<std::string_view, HardwareCompatibilityLevel> levels = {
      {"", HardwareCompatibilityLevel::kNONE},
      {"ampere+", HardwareCompatibilityLevel::kAMPERE_PLUS},
      {"same", HardwareCompatibilityLevel::kSAME_COMPUTE_CAPABILITY},
  };
  const auto level = levels.find(request.text_of("hardware"));
  if (level == levels.end()) return {Code::kConfigInvalid, "hardware must be ampere+ or same"};
  config.setHardwareCompatibilityLevel(level->second);
#endif
  return {};
}

Problem set_flags(nvinfer1::IBuilderConfig& config, const Json& request) {
  using nvinfer1::BuilderFlag;
  const bool refit = request.true_of("refit");
  const bool streams = request.true_of("weightStreaming");
  if (request.true_of("versionCompatible")) {
#if SUBTEN_TENSORRT_RTX
    return {Code::kNotSupported, "TensorRT for RTX has no version-compatible plans: build the plan for each version"};
#else
    config.setFlag(BuilderFlag::kVERSION_COMPATIBLE);
#endif
  }
  if (refit) config.setFlag(BuilderFlag::kREFIT);
  if (streams) config.setFlag(BuilderFlag::kWEIGHT_STREAMING);
  if (const Json* tf32 = request.find("tf32"); tf32 != nullptr && !request.true_of("tf32")) {
    config.clearFlag(BuilderFlag::kTF32);
  }
  return {};
}

#if SUBTEN_TENSORRT_RTX
// It times no kernels when it builds.
struct TimingCache {
  Problem load(nvinfer1::IBuilderConfig&, const Json& request) {
    if (request.text_of("timingCache").empty()) return {};
    return {Code::kNotSupported, "TensorRT for RTX times no kernels when it builds: leave the timing cache out"};
  }
  Problem save() const { return {}; }
};
#else
// A file of the user's: what was timed once is not timed again.
struct TimingCache {
  std::string path;
  std::unique_ptr<nvinfer1::ITimingCache> cache;

  Problem load(nvinfer1::IBuilderConfig& config, const Json& request) {
    path = request.text_of("timingCache");
    if (path.empty()) return {};
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    cache.reset(config.createTimingCache(bytes.data(), bytes.size()));
    if (cache == nullptr || !config.setTimingCache(*cache, false)) {
      return {Code::kConfigInvalid, "TensorRT refuses the timing cache " + path +
                                        ": it is of another version or another GPU. Name another file"};
    }
    return {};
  }
  Problem save() const {
    if (cache == nullptr) return {};
    const std::unique_ptr<nvinfer1::IHostMemory> bytes(cache->serialize());
    const std::string fresh = path + ".new";
    if (bytes != nullptr) {
      std::ofstream file(fresh, std::ios::binary);
      file.write(static_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
      file.close();
      if (file && std::rename(fresh.c_str(), path.c_str()) == 0) return {};
    }
    std::remove(fresh.c_str());
    return {Code::kEngineFailed, "the timing cache " + path + " cannot be written"};
  }
};
#endif

Json tensors_json(const nvinfer1::INetworkDefinition& network, bool inputs) {
  Json list = Json::array();
  const int32_t count = inputs ? network.getNbInputs() : network.getNbOutputs();
  for (int32_t i = 0; i < count; ++i) {
    const nvinfer1::ITensor* tensor = inputs ? network.getInput(i) : network.getOutput(i);
    Json one = Json::object();
    one.member("name") = Json::string(tensor->getName());
    one.member("datatype") = Json::string(precision_of(tensor->getType()));
    one.member("shape") = shape_json(tensor->getDimensions());
    list.items.push_back(std::move(one));
  }
  return list;
}

// Layers of the network as it was parsed, by what they compute in: that of their first output, for Q and DQ apart.
void count_layers(const nvinfer1::INetworkDefinition& network, Json* report) {
  std::map<std::string, int64_t> counts;
  int64_t quantize = 0;
  int64_t dequantize = 0;
  for (int32_t i = 0; i < network.getNbLayers(); ++i) {
    const nvinfer1::ILayer* layer = network.getLayer(i);
    if (layer->getType() == nvinfer1::LayerType::kQUANTIZE) {
      ++quantize;
    } else if (layer->getType() == nvinfer1::LayerType::kDEQUANTIZE) {
      ++dequantize;
    } else if (layer->getNbOutputs() > 0 && layer->getType() != nvinfer1::LayerType::kCONSTANT) {
      ++counts[std::string(precision_of(layer->getOutput(0)->getType()))];
    }
  }
  Json& layers = report->member("layers") = Json::object();
  for (const auto& [name, count] : counts) layers.member(name) = Json::number(count);
  report->member("quantize") = Json::number(quantize);
  report->member("dequantize") = Json::number(dequantize);
}

// Networks are strongly typed: a precision is what the model has, not what the builder chooses.
Problem check_precision(const Json& request, const Json& report) {
  const std::string_view wanted = request.text_of("precision");
  const bool int8 = report.integer_of("quantize") + report.integer_of("dequantize") > 0;
  if (wanted == "INT8" && !int8) {
    return {Code::kConfigInvalid,
            "the model has no quantised layers, and TensorRT makes none: `npx subten quantize MODEL --target tensorrt "
            "--calibration DATA` makes the model to build from"};
  }
  if (wanted == "FP16" && report["layers"].find("FP16") == nullptr) {
    return {
        Code::kConfigInvalid,
        "the model has no layers in FP16, and TensorRT makes none: `npx subten quantize MODEL --precision fp16` makes "
        "the model to build from"};
  }
  return {};
}

Problem build_plan(const Json& request, TensorrtSink plan, Json* report) {
  if (api().create_builder == nullptr) {
    return {Code::kNotSupported, "this library of TensorRT has no builder (a lean or dispatch runtime)"};
  }
  const size_t mark = api().log.mark();
  const std::unique_ptr<nvinfer1::IBuilder> builder(
      static_cast<nvinfer1::IBuilder*>(api().create_builder(&api().log, NV_TENSORRT_VERSION)));
  if (builder == nullptr) return {Code::kEngineFailed, api().log.errors_since(mark, "TensorRT gives no builder")};
    // Strongly typed: every tensor has the type that the model gives it, and Q/DQ say what is INT8. After TensorRT 10
    // there are no other networks.
#if NV_TENSORRT_MAJOR == 10
  constexpr uint32_t kTyped = 1U << static_cast<uint32_t>(nvinfer1::NetworkDefinitionCreationFlag::kSTRONGLY_TYPED);
#else
  constexpr uint32_t kTyped = 0;
#endif
  const std::unique_ptr<nvinfer1::INetworkDefinition> network(builder->createNetworkV2(kTyped));
  const std::unique_ptr<nvinfer1::IBuilderConfig> config(builder->createBuilderConfig());
  if (network == nullptr || config == nullptr) {
    return {Code::kEngineFailed, api().log.errors_since(mark, "TensorRT gives no network")};
  }
  std::unique_ptr<nvonnxparser::IParser> parser;
  if (Problem problem = parse(*network, std::string(request.text_of("model")), &parser)) return problem;
  report->member("inputs") = tensors_json(*network, true);
  report->member("outputs") = tensors_json(*network, false);
  count_layers(*network, report);
  if (Problem problem = check_precision(request, *report)) return problem;
  if (Problem problem = set_targets(*config, request)) return problem;
  if (Problem problem = add_profiles(*builder, *network, *config, request, report)) return problem;
  if (Problem problem = set_flags(*config, request)) return problem;
  if (const int64_t mb = request.integer_of("workspaceMb"); mb > 0) {
    config->setMemoryPoolLimit(nvinfer1::MemoryPoolType::kWORKSPACE, static_cast<size_t>(mb) << 20);
  }
  TimingCache cache;
  if (Problem problem = cache.load(*config, request)) return problem;
  const std::unique_ptr<nvinfer1::IHostMemory> bytes(builder->buildSerializedNetwork(*network, *config));
  if (bytes == nullptr || bytes->size() == 0) {
    return {Code::kModelInvalid,
            "TensorRT cannot build the model: " + api().log.errors_since(mark, "it gave no reason")};
  }
  plan.put(plan.context, bytes->data(), bytes->size());
  if (Problem problem = cache.save()) return problem;
  Json& warnings = report->member("warnings") = Json::array();
  for (const Log::Line& line : api().log.since(mark)) {
    if (warnings.items.size() < 20) warnings.items.push_back(Json::string(line.text));
  }
  return {};
}

}  // namespace

int32_t build(const char* request, uint64_t bytes, TensorrtSink plan, TensorrtSink report, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    Json asked;
    if (!parse_json({request, bytes}, &asked)) return failed(Code::kConfigInvalid, "the request is no JSON", error);
    Json answer = Json::object();
    if (Problem problem = build_plan(asked, plan, &answer)) return failed(problem.code, problem.text, error);
    put(report, write_json(answer));
    return 0;
  });
}

}  // namespace subten::trt
