#include "engines/onnxruntime/session.h"

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "engines/cuda/device.h"
#include "engines/onnxruntime/cuda_provider.h"
#include "engines/onnxruntime/element_type.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/model_file.h"
#include "engines/onnxruntime/model_metadata.h"
#include "engines/onnxruntime/node_assignment.h"
#include "engines/onnxruntime/openvino_provider.h"
#include "engines/onnxruntime/ort_error.h"
#include "engines/onnxruntime/thread_trial.h"

namespace subten {
namespace {

constexpr const char* kIntraOpSpinning = "session.intra_op.allow_spinning";
constexpr const char* kInterOpSpinning = "session.inter_op.allow_spinning";

Status check_file(const std::string& path) {
  struct stat information {};
  if (stat(path.c_str(), &information) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return Status::error(Code::kModelNotFound, "There is no model file " + path + ".");
    }
    return Status::error(Code::kModelInvalid, "The model file " + path + " cannot be read: " + std::strerror(errno));
  }
  if (!S_ISREG(information.st_mode)) {
    return Status::error(Code::kModelInvalid, path + " is not a file; an ONNX model file is needed.");
  }
  if (information.st_size == 0) return Status::error(Code::kModelInvalid, "The model file " + path + " is empty.");
  return Status::ok();
}

Status option_error(const char* what, const OrtError& error) {
  return Status::error(Code::kConfigInvalid, std::string("ONNX Runtime refused ") + what + ": " + error.message());
}

Status set_threads(const OrtParameters& parameters, OrtSessionOptions* options) {
  if (!parameters.own_threads()) {
    if (OrtError error(ort().DisablePerSessionThreads(options)); error) return option_error("the shared pool", error);
    return Status::ok();
  }
  const bool parallel = parameters.execution_mode == OrtExecutionMode::kParallel;
  const int shared = ort_compute_threads();
  const int intra = parameters.intra_op_threads > 0 ? parameters.intra_op_threads : shared;
  const int inter = !parallel ? 1 : parameters.inter_op_threads > 0 ? parameters.inter_op_threads : shared;
  if (OrtError error(ort().SetIntraOpNumThreads(options, intra)); error) {
    return option_error("intra_op_thread_count", error);
  }
  if (OrtError error(ort().SetInterOpNumThreads(options, inter)); error) {
    return option_error("inter_op_thread_count", error);
  }
  if (OrtError error(ort().SessionOptionsSetCustomCreateThreadFn(options, create_ort_thread)); error) {
    return option_error("thread functions", error);
  }
  if (OrtError error(ort().SessionOptionsSetCustomJoinThreadFn(options, join_ort_thread)); error) {
    return option_error("thread functions", error);
  }
  for (const char* key : {kIntraOpSpinning, kInterOpSpinning}) {
    if (OrtError error(ort().AddSessionConfigEntry(options, key, "0")); error) return option_error(key, error);
  }
  return Status::ok();
}

Status set_options(const OrtParameters& parameters, OrtSessionOptions* options) {
  if (parameters.cuda.used()) {
    if (Status status = use_cuda(parameters.cuda, options); !status.is_ok()) return status;
  }
  if (parameters.openvino.used) {
    if (Status status = use_openvino(parameters.openvino, options); !status.is_ok()) return status;
  }
  if (Status status = set_threads(parameters, options); !status.is_ok()) return status;
  if (OrtError error(ort().SetSessionExecutionMode(options, parameters.execution_mode)); error) {
    return option_error("execution_mode", error);
  }
  if (OrtError error(ort().SetSessionGraphOptimizationLevel(options, parameters.optimization_level)); error) {
    return option_error("optimization_level", error);
  }
  const auto arena = parameters.mem_arena ? ort().EnableCpuMemArena : ort().DisableCpuMemArena;
  if (OrtError error(arena(options)); error) return option_error("enable_mem_arena", error);
  // The pattern of a sequential run does not fit a parallel one; the library would warn and turn it off itself.
  const bool pattern = parameters.mem_pattern && parameters.execution_mode == OrtExecutionMode::kSequential;
  if (OrtError error(pattern ? ort().EnableMemPattern(options) : ort().DisableMemPattern(options)); error) {
    return option_error("enable_mem_pattern", error);
  }
  if (parameters.log_severity_level >= 0) {
    if (OrtError error(ort().SetSessionLogSeverityLevel(options, parameters.log_severity_level)); error) {
      return option_error("log_severity_level", error);
    }
    if (OrtError error(ort().SetSessionLogId(options, kOrtLoudLogId)); error) return option_error("a log id", error);
  }
  // Last, so that a model's own entries win.
  for (const auto& [key, value] : parameters.session_entries) {
    if (OrtError error(ort().AddSessionConfigEntry(options, key.c_str(), value.c_str())); error) {
      return option_error(("the parameter " + key).c_str(), error);
    }
  }
  return Status::ok();
}

enum class Role : uint8_t { kInput, kOutput, kInitializer };

std::string describe(Role role, const std::string& name) {
  return (role == Role::kOutput ? "The output '" : "The input '") + name + "' of the model ";
}

Status unsupported_type(Role role, const std::string& name, OrtElementType type) {
  return Status::error(Code::kNotSupported, describe(role, name) + "has the element type " +
                                                std::string(element_type_name(type)) +
                                                ", which the KServe protocol has no datatype for. Cast it inside the "
                                                "model, for instance to FP16 or INT8.");
}

// What a failed load adds to the message: the first line logged meanwhile, where the error itself does not say it.
std::string logged_cause(uint64_t mark, std::string_view message) {
  for (const std::string& line : ort_log_since(mark)) {
    if (message.find(std::string_view(line).substr(0, 60)) == std::string_view::npos) return " (" + line + ")";
  }
  return {};
}

Status create_session(const std::string& path, const OrtParameters& parameters, OrtOwned<OrtSession>* out);

// Why a session that OpenVINO was to compute failed, where that is OpenVINO's doing; else ok.
Status openvino_error(const std::string& path, const OrtParameters& parameters, std::string_view message) {
  if (message.find("fallback to CPU EP") == std::string_view::npos) {
    if (message.find("openvino") == std::string_view::npos) return Status::ok();
    const auto says = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
    const Code code = says("is not registered")                                    ? Code::kNotSupported
                      : says("Unsupported property") || says("t create directory") ? Code::kConfigInvalid
                                                                                   : Code::kModelInvalid;
    return Status::error(code, "OpenVINO cannot compile the model file " + path + ": " + openvino_cause(message));
  }
  OrtParameters with_cpu = parameters;
  with_cpu.openvino.cpu_nodes = true;
  OrtOwned<OrtSession> session;
  std::string nodes;
  if (create_session(path, with_cpu, &session).is_ok()) nodes = where_nodes_run(session.get());
  return Status::error(
      Code::kNotSupported,
      "OpenVINO does not compute all operators of the model file " + path +
          ". List the CPU too to run those in ONNX Runtime: executionProviders: [{ name: 'openvino' }, "
          "'cpu']." +
          (nodes.empty() ? "" : " (They would run so: " + nodes + ")"));
}

Status create_session(const std::string& path, const OrtParameters& parameters, OrtOwned<OrtSession>* out) {
  OrtSessionOptions* raw_options = nullptr;
  if (OrtError error(ort().CreateSessionOptions(&raw_options)); error) return option_error("session options", error);
  const OrtOwned<OrtSessionOptions> options(raw_options);
  if (Status status = set_options(parameters, options.get()); !status.is_ok()) return status;

  const uint64_t mark = ort_log_mark();
  OrtSession* session = nullptr;
  if (OrtError error(ort().CreateSession(ort_environment(), path.c_str(), options.get(), &session)); error) {
    if (const std::optional<UnsupportedTensor> tensor = find_unsupported_tensor(path)) {
      return unsupported_type(tensor->output ? Role::kOutput : Role::kInput, tensor->name, tensor->type);
    }
    const std::string message = error.message();
    if (parameters.openvino.used) {
      if (Status status = openvino_error(path, parameters, error.raw()); !status.is_ok()) return status;
    }
    return Status::error(Code::kModelInvalid, "ONNX Runtime cannot load the model file " + path + ": " + message +
                                                  logged_cause(mark, message));
  }
  out->reset(session);
  return Status::ok();
}

// A tensor as the session declares it.
struct Declared {
  TensorSpec spec;
  OrtElementType type = OrtElementType::kUndefined;
  std::vector<std::string> symbols;  // by dimension; empty where it has none
  bool rank_known = true;
};

Status model_error(const OrtError& error) {
  return Status::error(Code::kModelInvalid, "ONNX Runtime cannot describe the model: " + error.message());
}

Status read_name(const OrtSession* session, size_t index, Role role, std::string* name) {
  const OrtSessionName get_name = role == Role::kInput    ? ort().SessionGetInputName
                                  : role == Role::kOutput ? ort().SessionGetOutputName
                                                          : ort().SessionGetOverridableInitializerName;
  char* text = nullptr;
  if (OrtError error(get_name(session, index, ort_allocator(), &text)); error) return model_error(error);
  const OrtText owner(text);
  *name = text;
  return Status::ok();
}

Status read_shape(const OrtTensorTypeAndShapeInfo* info, Role role, Declared* out) {
  out->rank_known = ort().TensorTypeAndShape_HasShape(info);
  if (!out->rank_known) return Status::ok();
  size_t rank = 0;
  if (OrtError error(ort().GetDimensionsCount(info, &rank)); error) return model_error(error);
  if (rank > kMaxRank) {
    return Status::error(Code::kNotSupported, describe(role, out->spec.name) + "has " + std::to_string(rank) +
                                                  " dimensions; subten takes at most " + std::to_string(kMaxRank) +
                                                  ".");
  }
  std::array<int64_t, kMaxRank> dims{};
  std::array<const char*, kMaxRank> symbols{};
  if (OrtError error(ort().GetDimensions(info, dims.data(), rank)); error) return model_error(error);
  if (OrtError error(ort().GetSymbolicDimensions(info, symbols.data(), rank)); error) return model_error(error);
  for (size_t d = 0; d < rank; ++d) {
    out->spec.shape.push_back(dims[d] < 0 ? -1 : dims[d]);
    out->symbols.emplace_back(symbols[d] == nullptr ? "" : symbols[d]);
  }
  return Status::ok();
}

Status read_tensor(const OrtSession* session, size_t index, Role role, Declared* out) {
  if (Status status = read_name(session, index, role, &out->spec.name); !status.is_ok()) return status;
  const OrtSessionTypeInfo get_info = role == Role::kInput    ? ort().SessionGetInputTypeInfo
                                      : role == Role::kOutput ? ort().SessionGetOutputTypeInfo
                                                              : ort().SessionGetOverridableInitializerTypeInfo;
  OrtTypeInfo* raw_info = nullptr;
  if (OrtError error(get_info(session, index, &raw_info)); error) return model_error(error);
  const OrtOwned<OrtTypeInfo> info(raw_info);
  OrtValueKind kind = OrtValueKind::kUnknown;
  if (OrtError error(ort().GetOnnxTypeFromTypeInfo(info.get(), &kind)); error) return model_error(error);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  if (kind == OrtValueKind::kTensor) {
    if (OrtError error(ort().CastTypeInfoToTensorInfo(info.get(), &tensor)); error) return model_error(error);
  }
  if (tensor == nullptr) {
    std::string message = describe(role, out->spec.name) + "is a " + std::string(value_kind_name(kind)) +
                          "; subten serves tensors only. Export the model with tensors in its place";
    if (kind == OrtValueKind::kSequence && role == Role::kOutput) message += " (for skl2onnx: zipmap=False)";
    return Status::error(Code::kNotSupported, message + ".");
  }
  if (OrtError error(ort().GetTensorElementType(tensor, &out->type)); error) return model_error(error);
  const std::optional<DataType> type = datatype_of(out->type);
  if (!type) return unsupported_type(role, out->spec.name, out->type);
  out->spec.type = *type;
  return read_shape(tensor, role, out);
}

// A tensor of unknown rank takes the shape that the configuration gives it, or counts as a vector of any length.
void complete_shape(const std::vector<TensorSpec>& configured, Declared* tensor) {
  if (tensor->rank_known) return;
  tensor->spec.shape = {-1};
  for (const TensorSpec& spec : configured) {
    if (spec.name == tensor->spec.name && !spec.shape.empty()) tensor->spec.shape = spec.shape;
  }
}

Status count_error(const char* what, size_t count) {
  return Status::error(Code::kNotSupported, "The model has " + std::to_string(count) + " " + what +
                                                "; subten takes at most " + std::to_string(kMaxTensors) + ".");
}

// Initializers that a caller may override become optional inputs, unless there are too many (a model exported with all
// its weights as inputs) or one is not representable: such are left as the constants they are.
void read_initializers(const OrtSession* session, std::vector<Declared>* inputs, ModelSpec* spec) {
  size_t count = 0;
  if (OrtError error(ort().SessionGetOverridableInitializerCount(session, &count)); error) return;
  if (count == 0) return;
  if (inputs->size() + count > kMaxTensors) {
    spec->metadata.emplace_back("overridable initializers", std::to_string(count) + " (too many to offer as inputs)");
    return;
  }
  for (size_t index = 0; index < count; ++index) {
    Declared tensor;
    tensor.spec.optional = true;
    if (read_tensor(session, index, Role::kInitializer, &tensor).is_ok() && tensor.rank_known) {
      inputs->push_back(std::move(tensor));
    }
  }
}

// The first required input dimension with this symbol.
bool find_symbol(const std::vector<Declared>& inputs, const std::string& symbol, OutputDimension* out) {
  for (size_t input = 0; input < inputs.size(); ++input) {
    if (inputs[input].spec.optional) continue;
    for (size_t d = 0; d < inputs[input].symbols.size(); ++d) {
      if (inputs[input].symbols[d] != symbol) continue;
      out->source = OutputDimension::Source::kInput;
      out->input = static_cast<uint8_t>(input);
      out->dimension = static_cast<uint8_t>(d);
      return true;
    }
  }
  return false;
}

OutputPlan plan_output(const Declared& output, const std::vector<Declared>& inputs, bool batches) {
  OutputPlan plan;
  if (!output.rank_known || output.spec.type == DataType::kBytes) return plan;
  // An input that is also an output keeps the caller's memory: the library does not write elsewhere.
  for (const Declared& input : inputs) {
    if (input.spec.name == output.spec.name) return plan;
  }
  plan.rank = static_cast<uint8_t>(output.spec.shape.size());
  for (size_t d = 0; d < plan.rank; ++d) {
    OutputDimension& dimension = plan.dimensions[d];
    if (output.spec.shape[d] >= 0) {
      dimension.value = output.spec.shape[d];
    } else if (!output.symbols[d].empty() && find_symbol(inputs, output.symbols[d], &dimension)) {
      continue;
    } else if (d == 0 && batches) {
      dimension.source = OutputDimension::Source::kRows;
    } else {
      return plan;
    }
  }
  plan.predictable = true;
  return plan;
}

Status describe_model(const EngineOptions& options, OrtModelState* model) {
  const OrtSession* session = model->session.get();
  size_t input_count = 0;
  size_t output_count = 0;
  if (OrtError error(ort().SessionGetInputCount(session, &input_count)); error) return model_error(error);
  if (OrtError error(ort().SessionGetOutputCount(session, &output_count)); error) return model_error(error);
  if (input_count > kMaxTensors) return count_error("inputs", input_count);
  if (output_count > kMaxTensors) return count_error("outputs", output_count);

  std::vector<Declared> inputs(input_count);
  for (size_t index = 0; index < input_count; ++index) {
    if (Status status = read_tensor(session, index, Role::kInput, &inputs[index]); !status.is_ok()) return status;
    complete_shape(options.config_inputs, &inputs[index]);
  }
  read_initializers(session, &inputs, &model->spec);
  std::vector<Declared> outputs(output_count);
  for (size_t index = 0; index < output_count; ++index) {
    if (Status status = read_tensor(session, index, Role::kOutput, &outputs[index]); !status.is_ok()) return status;
    complete_shape(options.config_outputs, &outputs[index]);
    model->plans.push_back(plan_output(outputs[index], inputs, options.max_batch_size > 0));
  }

  for (Declared& input : inputs) {
    model->input_types.push_back(input.type);
    model->spec.inputs.push_back(std::move(input.spec));
  }
  for (Declared& output : outputs) {
    model->output_types.push_back(output.type);
    model->spec.outputs.push_back(std::move(output.spec));
  }
  for (const TensorSpec& input : model->spec.inputs) model->input_names.push_back(input.name.c_str());
  for (const TensorSpec& output : model->spec.outputs) model->output_names.push_back(output.name.c_str());
  read_model_metadata(session, &model->spec.metadata);
  return Status::ok();
}

// For users: what computes the model.
Status describe_device(OrtModelState* model) {
  const CudaSettings& cuda = model->parameters.cuda;
  CudaDevice device;
  if (Status status = find_cuda_device(cuda.device, &device); !status.is_ok()) return status;
  auto& metadata = model->spec.metadata;
  metadata.emplace_back("device", "cuda:" + std::to_string(cuda.device) + ", " + describe(device));
  if (std::string nodes = where_nodes_run(model->session.get()); !nodes.empty()) {
    metadata.emplace_back("nodes", std::move(nodes));
  }
  metadata.emplace_back("memory of requests", cuda.pinned ? "page-locked" : "pageable");
  return Status::ok();
}

// What runs where. Sizes that batches may have are run at load, since OpenVINO makes kernels for each at its first run,
// and a request would wait for them; on every stream, which have kernels of their own.
void prepare_openvino(const EngineOptions& options, OrtModelState* model) {
  constexpr int64_t kBudgetNs = 5'000'000'000;
  const OpenVinoSettings& settings = model->parameters.openvino;
  auto& metadata = model->spec.metadata;
  metadata.emplace_back("device", describe(settings));
  if (std::string nodes = where_nodes_run(model->session.get()); !nodes.empty()) {
    metadata.emplace_back("nodes", std::move(nodes));
  }
  const auto run = [&] { return run_sizes(*model, options.max_batch_size, kBudgetNs); };
  std::vector<std::thread> others;
  try {
    for (int stream = 1; stream < settings.streams(); ++stream) others.emplace_back(run);
  } catch (const std::system_error&) {
    // No thread: the other streams are prepared by requests.
  }
  const uint32_t rows = run();
  for (std::thread& other : others) other.join();
  std::string sizes;
  if (rows == 0) {
    sizes = "prepared by their first run; max_batch_size, and inputs of fixed shape, prepare them at load";
  } else if (options.max_batch_size > 0) {
    sizes = "1 to " + std::to_string(rows) + " prepared at load";
    if (rows < static_cast<uint32_t>(options.max_batch_size)) sizes += "; larger ones by their first run";
  }
  if (!sizes.empty()) metadata.emplace_back("batch sizes", std::move(sizes));
}

// Gives a small model a thread of its own in place of the shared pool, if the pool does not make it faster.
void choose_threads(const EngineOptions& options, OrtModelState* model) {
  constexpr int64_t kSmallNs = 1'000'000;
  constexpr off_t kSmallFile = 64 << 20;
  const int threads = ort_compute_threads();
  struct stat file {};
  if (model->parameters.own_threads() || model->parameters.cuda.used() || model->parameters.openvino.used ||
      threads < 2 || stat(options.model_path.c_str(), &file) != 0 || file.st_size > kSmallFile) {
    return;
  }
  const TrialTimes pool = time_runs(*model, options.max_batch_size, kSmallNs);
  if (pool.one_row == 0) return;
  OrtParameters parameters = model->parameters;
  parameters.intra_op_threads = 1;
  OrtOwned<OrtSession> session;
  if (!create_session(options.model_path, parameters, &session).is_ok()) return;
  std::swap(session, model->session);
  const TrialTimes alone = time_runs(*model, options.max_batch_size, kSmallNs * threads);
  const bool keep_pool = alone.one_row == 0 || pool_pays(pool, alone, threads);
  if (keep_pool) {
    std::swap(session, model->session);
  } else {
    model->parameters.intra_op_threads = 1;
  }
  model->spec.metadata.emplace_back(
      "compute threads", (keep_pool ? std::to_string(threads) + " (shared pool)" : std::string("1")) +
                             "; measured at load, one row: " + std::to_string(pool.one_row / 1000) + " us with " +
                             std::to_string(threads) + " threads, " + std::to_string(alone.one_row / 1000) +
                             " us with 1; intra_op_thread_count sets it");
}

}  // namespace

OrtModelState::~OrtModelState() {
  if (!session) return;
  session.reset();
  // Weights come in many blocks of the heap, which keeps them for itself otherwise.
  malloc_trim(0);
}

Status create_ort_session(const std::string& path, const OrtParameters& parameters, OrtOwned<OrtSession>* out) {
  return create_session(path, parameters, out);
}

namespace {

Status open_model(const EngineOptions& options, OrtModelState* model) {
  if (Status status = create_session(options.model_path, model->parameters, &model->session); !status.is_ok()) {
    return status;
  }
  if (Status status = describe_model(options, model); !status.is_ok()) return status;
  if (model->parameters.cuda.used()) {
    if (Status status = describe_device(model); !status.is_ok()) return status;
    // Some of CUDA's libraries are loaded by the first run only.
    time_runs(*model, options.max_batch_size, 1);
  }
  if (model->parameters.openvino.used) prepare_openvino(options, model);
  choose_threads(options, model);
  return Status::ok();
}

}  // namespace

Status open_ort_model(const EngineOptions& options, std::unique_ptr<OrtModelState>* out) {
  auto model = std::make_unique<OrtModelState>();
  if (Status status = parse_ort_parameters(options, &model->parameters); !status.is_ok()) return status;
  if (Status status = check_file(options.model_path); !status.is_ok()) return status;
  const auto open = [&] { return open_model(options, model.get()); };
  if (Status status = model->parameters.openvino.used ? on_quiet_thread(open) : open(); !status.is_ok()) return status;
  *out = std::move(model);
  return Status::ok();
}

}  // namespace subten
