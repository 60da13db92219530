#include "fake_tensorrt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "engines/common/json.h"
#include "engines/tensorrt/plugin_abi.h"
#include "memory/status.h"

namespace subten {

struct TensorrtEngine {
  Json plan;
  float factor = 1;
};

namespace fake_tensorrt {
namespace {

struct Bound {
  uint64_t address = 0;
  std::vector<int64_t> shape;
};

// One enqueue: recordings run it again, so it lives as long as its context.
struct Run {
  float factor = 1;
  int64_t rows = 1;
  std::vector<std::pair<const float*, int64_t>> inputs;  // values of a row
  std::vector<std::pair<float*, int64_t>> outputs;
  char* memory = nullptr;
  uint64_t memory_bytes = 0;
};

State& state() {
  static State* const instance = new State;
  return *instance;
}

void put(TensorrtSink sink, const std::string& text) { sink.put(sink.context, text.data(), text.size()); }

int32_t failed(Code code, const std::string& text, TensorrtSink error) {
  put(error, text);
  return static_cast<int32_t>(code);
}

// Notes the call; the code that it must fail with, or 0.
int32_t called(const char* name, TensorrtSink error) {
  State& self = state();
  const std::lock_guard lock(self.mutex);
  self.calls.emplace_back(name);
  const auto found = self.failures.find(name);
  if (found == self.failures.end()) return 0;
  const auto [code, sentence] = found->second;
  self.failures.erase(found);
  put(error, sentence);
  return code;
}

using LaunchHostFunc = int (*)(void* stream, void (*function)(void*), void* argument);

LaunchHostFunc launch_host_func() {
  static const auto found = [] {
    void* driver = dlopen(std::getenv("SUBTEN_CUDA_DRIVER"), RTLD_NOW | RTLD_LOCAL);
    return reinterpret_cast<LaunchHostFunc>(dlsym(driver, "cuLaunchHostFunc"));
  }();
  return found;
}

void compute(void* argument) {
  const Run& run = *static_cast<const Run*>(argument);
  // Activations: whoever gave too little memory, or gave it back, is found by the sanitizer.
  if (run.memory_bytes > 0) std::memset(run.memory, 0x5A, run.memory_bytes);
  for (int64_t row = 0; row < run.rows; ++row) {
    float sum = 0;
    for (const auto& [values, width] : run.inputs) {
      for (int64_t i = 0; i < width; ++i) sum += values[row * width + i];
    }
    for (const auto& [values, width] : run.outputs) {
      for (int64_t i = 0; i < width; ++i) values[row * width + i] = run.factor * sum + static_cast<float>(i);
    }
  }
}

int64_t elements(const std::vector<int64_t>& shape, size_t from) {
  int64_t product = 1;
  for (size_t i = from; i < shape.size(); ++i) product *= shape[i];
  return product;
}

std::vector<int64_t> numbers(const Json& list) {
  std::vector<int64_t> found;
  for (const Json& each : list.items) found.push_back(each.integer());
  return found;
}

}  // namespace
}  // namespace fake_tensorrt

struct TensorrtContext {
  TensorrtEngine* engine = nullptr;
  int32_t profile = 0;
  uint64_t memory = 0;
  uint64_t memory_bytes = 0;
  std::map<std::string, fake_tensorrt::Bound> bound;
  std::vector<std::unique_ptr<fake_tensorrt::Run>> runs;
};

namespace fake_tensorrt {
namespace {

int32_t use(void*, void*, TensorrtSink error) { return called("use", error); }

int32_t build(const char*, uint64_t, TensorrtSink, TensorrtSink, TensorrtSink error) {
  return failed(Code::kNotSupported, "the fake builds nothing", error);
}

int32_t open(const void* plan, uint64_t bytes, int64_t weight_budget, TensorrtEngine** out, TensorrtSink error) {
  if (const int32_t code = called("open", error); code != 0) return code;
  auto made = std::make_unique<TensorrtEngine>();
  if (!parse_json({static_cast<const char*>(plan), bytes}, &made->plan)) {
    return failed(Code::kModelInvalid, "TensorRT refuses the plan: it is no plan of the fake", error);
  }
  if (made->plan.find("factor") != nullptr) made->factor = static_cast<float>(made->plan.integer_of("factor"));
  const std::lock_guard lock(state().mutex);
  state().weight_budget = weight_budget;
  ++state().engines;
  *out = made.release();
  return 0;
}

void close(TensorrtEngine* engine) {
  delete engine;
  const std::lock_guard lock(state().mutex);
  --state().engines;
}

int32_t refit(TensorrtEngine*, const char* model, TensorrtSink error) {
  if (const int32_t code = called("refit", error); code != 0) return code;
  const std::lock_guard lock(state().mutex);
  state().refitted_from = model;
  return 0;
}

int32_t describe(const TensorrtEngine* engine, TensorrtSink json, TensorrtSink error) {
  if (const int32_t code = called("describe", error); code != 0) return code;
  put(json, write_json(engine->plan));
  return 0;
}

int32_t create_context(TensorrtEngine* engine, int32_t profile, void*, uint64_t memory, uint64_t memory_bytes,
                       TensorrtContext** out, TensorrtSink error) {
  if (const int32_t code = called("create_context", error); code != 0) return code;
  const std::vector<Json>& needed = engine->plan["profileMemory"].items;
  const auto at = static_cast<size_t>(profile);
  if (at < needed.size() && needed[at].integer() > static_cast<int64_t>(memory_bytes)) {
    return failed(Code::kEngineFailed, "the context got too little memory", error);
  }
  *out = new TensorrtContext{engine, profile, memory, memory_bytes, {}, {}};
  const std::lock_guard lock(state().mutex);
  ++state().contexts;
  return 0;
}

void destroy_context(TensorrtContext* context) {
  delete context;
  const std::lock_guard lock(state().mutex);
  --state().contexts;
}

int32_t bind_input(TensorrtContext* context, const char* name, uint64_t address, const int64_t* shape, int32_t rank,
                   TensorrtSink error) {
  if (const int32_t code = called("bind_input", error); code != 0) return code;
  const std::vector<int64_t> given(shape, shape + rank);
  const std::vector<Json>& profiles = context->engine->plan["profiles"].items;
  if (const auto at = static_cast<size_t>(context->profile);
      at < profiles.size() && profiles[at].find(name) != nullptr) {
    const std::vector<Json>& three = profiles[at][name].items;
    if (given[0] < numbers(three[0])[0] || given[0] > numbers(three[2])[0]) {
      return failed(Code::kEngineFailed, "TensorRT refuses the shape: it is outside the profile", error);
    }
  }
  context->bound[name] = {address, given};
  return 0;
}

int32_t bind_output(TensorrtContext* context, const char* name, uint64_t address, TensorrtSink error) {
  if (const int32_t code = called("bind_output", error); code != 0) return code;
  context->bound[name] = {address, {}};
  return 0;
}

int32_t enqueue(TensorrtContext* context, void* stream, TensorrtSink error) {
  if (const int32_t code = called("enqueue", error); code != 0) return code;
  auto run = std::make_unique<Run>();
  run->factor = context->engine->factor;
  run->memory = reinterpret_cast<char*>(context->memory);
  run->memory_bytes = context->memory_bytes;
  for (const Json& tensor : context->engine->plan["tensors"].items) {
    const Bound& bound = context->bound[std::string(tensor.text_of("name"))];
    const std::vector<int64_t> shape = numbers(tensor["shape"]);
    const size_t from = !shape.empty() && shape[0] < 0 ? 1 : 0;
    if (tensor.true_of("input")) {
      if (from == 1) run->rows = bound.shape[0];
      run->inputs.emplace_back(reinterpret_cast<const float*>(bound.address), elements(shape, from));
    } else {
      run->outputs.emplace_back(reinterpret_cast<float*>(bound.address), elements(shape, from));
    }
  }
  context->runs.push_back(std::move(run));
  if (const int result = launch_host_func()(stream, compute, context->runs.back().get()); result != 0) {
    return failed(Code::kEngineFailed, "TensorRT failed to run the plan: CUDA says " + std::to_string(result), error);
  }
  return 0;
}

constexpr TensorrtPlugin kPlugin{
    kTensorrtAbi,    11,         1,           0,       use, build, open, close, refit, describe, create_context,
    destroy_context, bind_input, bind_output, enqueue,
};

}  // namespace
}  // namespace fake_tensorrt
}  // namespace subten

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE subten::fake_tensorrt::State* subten_fake_tensorrt() { return &subten::fake_tensorrt::state(); }
// NOLINTNEXTLINE(readability-identifier-naming): the name is TensorRT's.
FAKE int32_t getInferLibVersion() { return subten::fake_tensorrt::state().version; }
FAKE const subten::TensorrtPlugin* subten_tensorrt_plugin() { return &subten::fake_tensorrt::kPlugin; }
