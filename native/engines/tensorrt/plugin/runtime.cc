// Plans on a device. describe() writes
//   { "name", "layers": n, "hardware": "none" | "ampere+" | "same", "refittable": bool, "streamableBytes": n,
//     "auxStreams": n, "tensors": [ { name, input: bool, datatype, shape, host: bool, linear: bool } ],
//     "profiles": [ { input: [min, opt, max] } ], "profileMemory": [ n ] }: memory of the device that a context needs
#include <memory>

#include "engines/common/json.h"
#include "engines/tensorrt/plugin/api.h"

namespace subten {

struct TensorrtEngine {
  std::unique_ptr<nvinfer1::IRuntime> runtime;  // outlives the engine
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
};

struct TensorrtContext {
  std::unique_ptr<nvinfer1::IExecutionContext> context;
};

namespace trt {
namespace {

Json shape_json(const nvinfer1::Dims& dims) {
  std::vector<int64_t> numbers;
  for (int32_t i = 0; i < dims.nbDims; ++i) numbers.push_back(dims.d[i]);
  return Json::array(numbers);
}

const char* hardware_of(const nvinfer1::ICudaEngine& engine) noexcept {
  switch (engine.getHardwareCompatibilityLevel()) {
    case nvinfer1::HardwareCompatibilityLevel::kAMPERE_PLUS:
      return "ampere+";
    case nvinfer1::HardwareCompatibilityLevel::kSAME_COMPUTE_CAPABILITY:
      return "same";
    default:
      return "none";
  }
}

Json profile_json(const nvinfer1::ICudaEngine& engine, int32_t profile) {
  using nvinfer1::OptProfileSelector;
  Json inputs = Json::object();
  for (int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
    const char* name = engine.getIOTensorName(i);
    if (engine.getTensorIOMode(name) != nvinfer1::TensorIOMode::kINPUT) continue;
    Json three = Json::array();
    for (const auto select : {OptProfileSelector::kMIN, OptProfileSelector::kOPT, OptProfileSelector::kMAX}) {
      three.items.push_back(shape_json(engine.getProfileShape(name, profile, select)));
    }
    inputs.member(name) = std::move(three);
  }
  return inputs;
}

int32_t refused(size_t mark, const char* what, TensorrtSink error) {
  return failed(Code::kEngineFailed, std::string(what) + ": " + api().log.errors_since(mark, "no reason given"), error);
}

}  // namespace

int32_t open(const void* plan, uint64_t bytes, int64_t weight_budget, TensorrtEngine** out, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const size_t mark = api().log.mark();
    auto made = std::make_unique<TensorrtEngine>();
    made->runtime.reset(static_cast<nvinfer1::IRuntime*>(api().create_runtime(&api().log, NV_TENSORRT_VERSION)));
    if (made->runtime == nullptr) return refused(mark, "TensorRT does not start", error);
    // A version-compatible plan carries code of its own; it was trusted when its file was.
    made->runtime->setEngineHostCodeAllowed(true);
    made->engine.reset(made->runtime->deserializeCudaEngine(plan, bytes));
    if (made->engine == nullptr) {
      return failed(Code::kModelInvalid,
                    "TensorRT refuses the plan: " + api().log.errors_since(mark, "no reason given") +
                        ". A plan fits the version of TensorRT and the kind of GPU that it was built for",
                    error);
    }
    // Before the first context: later it cannot be changed.
    if (weight_budget >= 0 && !made->engine->setWeightStreamingBudgetV2(weight_budget)) {
      return failed(Code::kConfigInvalid,
                    "TensorRT does not stream the weights of the plan: " +
                        api().log.errors_since(mark, "it was not built with --weight-streaming"),
                    error);
    }
    *out = made.release();
    return 0;
  });
}

void close(TensorrtEngine* engine) { delete engine; }

int32_t refit(TensorrtEngine* self, const char* model, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    if (!self->engine->isRefittable()) {
      return failed(Code::kConfigInvalid, "the plan was not built with --refit: its weights cannot be replaced", error);
    }
    if (api().create_refitter == nullptr || api().create_parser_refitter == nullptr) {
      return failed(Code::kEngineNotFound, "TensorRT's ONNX parser, which refits, was not found beside its library",
                    error);
    }
    const size_t mark = api().log.mark();
    const std::unique_ptr<nvinfer1::IRefitter> refitter(
        static_cast<nvinfer1::IRefitter*>(api().create_refitter(self->engine.get(), &api().log, NV_TENSORRT_VERSION)));
    if (refitter == nullptr) return refused(mark, "TensorRT gives no refitter", error);
    const std::unique_ptr<nvonnxparser::IParserRefitter> parser(static_cast<nvonnxparser::IParserRefitter*>(
        api().create_parser_refitter(refitter.get(), &api().log, NV_ONNX_PARSER_VERSION)));
    if (parser == nullptr) return refused(mark, "TensorRT gives no ONNX parser", error);
    if (!parser->refitFromFile(model) || !refitter->refitCudaEngine()) {
      const char* reason = parser->getNbErrors() > 0 ? parser->getError(0)->desc() : "no reason given";
      return failed(
          Code::kModelInvalid,
          std::string("TensorRT cannot take the weights of ") + model + ": " + api().log.errors_since(mark, reason),
          error);
    }
    return 0;
  });
}

int32_t describe(const TensorrtEngine* self, TensorrtSink json, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const nvinfer1::ICudaEngine& engine = *self->engine;
    Json answer = Json::object();
    answer.member("name") = Json::string(engine.getName());
    answer.member("layers") = Json::number(engine.getNbLayers());
    answer.member("hardware") = Json::string(hardware_of(engine));
    answer.member("refittable") = Json::boolean(engine.isRefittable());
    answer.member("streamableBytes") = Json::number(engine.getStreamableWeightsSize());
    answer.member("auxStreams") = Json::number(engine.getNbAuxStreams());
    Json& tensors = answer.member("tensors") = Json::array();
    for (int32_t i = 0; i < engine.getNbIOTensors(); ++i) {
      const char* name = engine.getIOTensorName(i);
      Json one = Json::object();
      one.member("name") = Json::string(name);
      one.member("input") = Json::boolean(engine.getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT);
      one.member("datatype") = Json::string(datatype_of(engine.getTensorDataType(name)));
      one.member("shape") = shape_json(engine.getTensorShape(name));
      one.member("host") = Json::boolean(engine.getTensorLocation(name) == nvinfer1::TensorLocation::kHOST ||
                                         engine.isShapeInferenceIO(name));
      one.member("linear") = Json::boolean(engine.getTensorFormat(name) == nvinfer1::TensorFormat::kLINEAR);
      tensors.items.push_back(std::move(one));
    }
    Json profiles = Json::array();
    Json memory = Json::array();
    for (int32_t i = 0; i < engine.getNbOptimizationProfiles(); ++i) {
      profiles.items.push_back(profile_json(engine, i));
      memory.items.push_back(Json::number(engine.getDeviceMemorySizeForProfileV2(i)));
    }
    answer.member("profiles") = std::move(profiles);
    answer.member("profileMemory") = std::move(memory);
    put(json, write_json(answer));
    return 0;
  });
}

int32_t create_context(TensorrtEngine* self, int32_t profile, void* stream, uint64_t memory, uint64_t memory_bytes,
                       TensorrtContext** out, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const size_t mark = api().log.mark();
    auto made = std::make_unique<TensorrtContext>();
    using Strategy = nvinfer1::ExecutionContextAllocationStrategy;
    made->context.reset(self->engine->createExecutionContext(Strategy::kUSER_MANAGED));
    if (made->context == nullptr) return refused(mark, "TensorRT gives no execution context", error);
    made->context->setDeviceMemoryV2(reinterpret_cast<void*>(memory), static_cast<int64_t>(memory_bytes));
    if (!made->context->setOptimizationProfileAsync(profile, static_cast<cudaStream_t>(stream))) {
      return refused(mark, "TensorRT refuses the optimisation profile", error);
    }
    *out = made.release();
    return 0;
  });
}

void destroy_context(TensorrtContext* context) { delete context; }

int32_t bind_input(TensorrtContext* self, const char* name, uint64_t address, const int64_t* shape, int32_t rank,
                   TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const size_t mark = api().log.mark();
    nvinfer1::Dims dims{};
    if (rank > nvinfer1::Dims::MAX_DIMS) return refused(mark, "too many dimensions", error);
    dims.nbDims = rank;
    for (int32_t i = 0; i < rank; ++i) dims.d[i] = shape[i];
    if (!self->context->setInputShape(name, dims) ||
        !self->context->setTensorAddress(name, reinterpret_cast<void*>(address))) {
      return refused(mark, (std::string("TensorRT refuses the input '") + name + "'").c_str(), error);
    }
    return 0;
  });
}

int32_t bind_output(TensorrtContext* self, const char* name, uint64_t address, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const size_t mark = api().log.mark();
    if (!self->context->setTensorAddress(name, reinterpret_cast<void*>(address))) {
      return refused(mark, (std::string("TensorRT refuses the output '") + name + "'").c_str(), error);
    }
    return 0;
  });
}

int32_t enqueue(TensorrtContext* self, void* stream, TensorrtSink error) {
  return guarded(error, [&]() -> int32_t {
    const size_t mark = api().log.mark();
    if (!self->context->enqueueV3(static_cast<cudaStream_t>(stream))) {
      return refused(mark, "TensorRT failed to run the plan", error);
    }
    return 0;
  });
}

}  // namespace trt
}  // namespace subten
