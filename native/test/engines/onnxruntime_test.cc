// The engine `onnxruntime`, driven as the executor drives it.
#include "engines/onnxruntime/onnxruntime_engine.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <sstream>
#include <thread>

#include "engines/common/elf_file.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/ort_error.h"
#include "engines/onnxruntime/run_switch.h"
#include "engines/onnxruntime/string_tensor.h"
#include "onnxruntime_model_writer.h"

#ifndef SUBTEN_TEST_DATA
#define SUBTEN_TEST_DATA "test/data"
#endif

namespace subten {
namespace {

using test::ModelWriter;
constexpr int kFloat = 1;
constexpr int kString = 8;

const char* library_path() { return std::getenv("SUBTEN_ONNXRUNTIME_LIB"); }

#define NEEDS_LIBRARY() \
  if (library_path() == nullptr) GTEST_SKIP() << "SUBTEN_ONNXRUNTIME_LIB names no ONNX Runtime library"

std::string data_file(const std::string& name) { return std::string(SUBTEN_TEST_DATA) + "/onnx/" + name; }

#define NEEDS_MODEL(name) \
  if (!std::filesystem::exists(data_file(name))) GTEST_SKIP() << data_file(name) << " is not there"

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content, const char* suffix = ".onnx") {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("subten-ort-" + std::to_string(getpid()) + "-" + std::to_string(count.fetch_add(1)) + suffix);
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

// What the executor would keep of one batch.
class Recorder final : public BatchCompletion {
 public:
  struct Result {
    Shape shape;
    std::string bytes;
    bool in_slab = false;
  };

  Recorder() = default;
  ~Recorder() {
    for (auto& [index, buffer] : adopted_) release(buffer);
  }

  bool slab_full = false;
  Status status;
  int ended = 0;
  int started = 0;
  std::map<size_t, Status> failures;

  void* allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override {
    if (slab_full) return nullptr;
    placed_[index] = {Shape(shape.begin(), shape.end()), std::string(bytes, '\x5a'), true};
    return placed_[index].bytes.data();
  }
  void adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept override {
    placed_.erase(index);  // the last word on an output counts
    results_[index] = {Shape(shape.begin(), shape.end()),
                       std::string(static_cast<const char*>(buffer.data), buffer.bytes), false};
    adopted_[index] = buffer;
  }
  void set_shape(size_t index, std::span<const int64_t> shape) noexcept override {
    placed_[index].shape.assign(shape.begin(), shape.end());
  }
  void* allocate_for(size_t, size_t, std::span<const int64_t>, uint64_t) noexcept override { return nullptr; }
  void adopt_for(size_t, size_t, std::span<const int64_t>, BufferHandle) noexcept override {}
  bool part(size_t) noexcept override { return true; }
  void fail(size_t request, Status failure) noexcept override { failures[request] = std::move(failure); }
  bool abandoned() const noexcept override { return false; }
  void mark_start() noexcept override { ++started; }
  void mark_end() noexcept override {}
  void done(Status ending) noexcept override {
    ++ended;
    status = std::move(ending);
    for (auto& [index, result] : placed_) results_[index] = result;
  }

  const Result& output(size_t index) const { return results_.at(index); }
  size_t outputs() const { return results_.size(); }

 private:
  static void release(const BufferHandle& buffer) {
    if (buffer.release != nullptr) buffer.release(buffer.context);
  }
  std::map<size_t, Result> placed_;
  std::map<size_t, Result> results_;
  std::map<size_t, BufferHandle> adopted_;
};

struct Tensor {
  Shape shape;
  std::string bytes;
  bool present = true;
};

template <typename T>
Tensor tensor(Shape shape, const std::vector<T>& values) {
  return {std::move(shape), std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T))};
}

std::string wire(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) {
    const auto length = static_cast<uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&length), sizeof(length)).append(text);
  }
  return out;
}

template <typename T>
std::vector<T> values(const Recorder::Result& result) {
  std::vector<T> out(result.bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), result.bytes.data(), result.bytes.size());
  return out;
}

// The batch of several requests, each with all inputs; their bytes follow one another, as the executor gathers them.
void run(EngineInstance& instance, const std::vector<std::vector<Tensor>>& requests, Recorder* recorder) {
  const size_t inputs = requests[0].size();
  std::vector<std::string> memory(inputs);
  std::vector<BatchTensor> whole(inputs);
  for (size_t i = 0; i < inputs; ++i) {
    whole[i].shape = requests[0][i].shape;
    whole[i].present = requests[0][i].present;
    int64_t rows = 0;
    for (const auto& request : requests) {
      memory[i] += request[i].bytes;
      if (!request[i].shape.empty()) rows += request[i].shape[0];
    }
    if (!whole[i].shape.empty()) whole[i].shape[0] = rows;
    whole[i].data = memory[i].empty() ? nullptr : memory[i].data();
    whole[i].bytes = memory[i].size();
  }
  std::vector<std::vector<RequestTensor>> parts(requests.size());
  const std::unique_ptr<bool[]> present(new bool[inputs]);
  std::vector<RequestView> views;
  uint32_t rows = 0;
  for (size_t r = 0; r < requests.size(); ++r) {
    for (size_t i = 0; i < inputs; ++i) {
      const Tensor& t = requests[r][i];
      present[i] = t.present;
      parts[r].push_back({t.bytes.data(), t.bytes.size(), t.shape});
    }
    const uint32_t k = requests[r][0].shape.empty() ? 1 : static_cast<uint32_t>(requests[r][0].shape[0]);
    RequestView& view = views.emplace_back();
    view.rows = k;
    view.inputs = parts[r];
    view.present = std::span<const bool>(present.get(), inputs);
    rows += k;
  }
  instance.execute({rows, views, whole}, recorder);
  EXPECT_EQ(recorder->ended, 1);
}

struct Model {
  std::unique_ptr<EngineModel> model;
  std::unique_ptr<EngineInstance> instance;
  Status status;
};

EngineOptions options_for(const std::string& path, int max_batch_size = 0) {
  EngineOptions options;
  options.model_path = path;
  options.max_batch_size = max_batch_size;
  return options;
}

Model open(const EngineOptions& options) {
  Model out;
  out.status = onnxruntime_engine()->open(options, &out.model);
  if (out.status.is_ok()) out.status = out.model->create_instance(&out.instance);
  return out;
}
Model open(const std::string& path, int max_batch_size = 0) { return open(options_for(path, max_batch_size)); }
Model open_text(const ModelWriter& writer, int max_batch_size = 0) {
  const TemporaryFile file(writer.bytes());
  return open(file.path(), max_batch_size);
}

#define ASSERT_OPENED(model) ASSERT_TRUE((model).status.is_ok()) << (model).status.message
#define EXPECT_CODE(expected, given) EXPECT_EQ((given).code, Code::expected) << (given).message
#define EXPECT_SAYS(given, part) EXPECT_NE((given).message.find(part), std::string::npos) << (given).message

// ---- the library; the tests that fail to load it come before the ones that do ----

TEST(OnnxRuntimeLibrary, AMissingFileIsNamedWithTheCommandThatInstallsIt) {
  const Status status = load_ort_library("/nowhere/libonnxruntime.so.1");
  EXPECT_CODE(kEngineNotFound, status);
  EXPECT_SAYS(status, "/nowhere/libonnxruntime.so.1");
  EXPECT_SAYS(status, "npm install @subten/onnxruntime-linux-");
}

TEST(OnnxRuntimeLibrary, NothingFoundSaysEveryPlaceThatWasLookedIn) {
  const std::string kept = library_path() == nullptr ? "" : library_path();
  unsetenv("SUBTEN_ONNXRUNTIME_LIB");
  set_onnxruntime_library_hint("/nowhere/package/libonnxruntime.so.1");
  const Status status = load_ort_library("");
  set_onnxruntime_library_hint("");
  if (!kept.empty()) setenv("SUBTEN_ONNXRUNTIME_LIB", kept.c_str(), 1);
  if (status.is_ok()) GTEST_SKIP() << "the system has an ONNX Runtime";
  EXPECT_CODE(kEngineNotFound, status);
  for (const char* place :
       {"engineLibrary", "SUBTEN_ONNXRUNTIME_LIB", "/nowhere/package", "libonnxruntime.so.1", "npm install"}) {
    EXPECT_SAYS(status, place);
  }
}

TEST(OnnxRuntimeLibrary, TheVariableIsAnOrderAndNothingElseIsTried) {
  const std::string kept = library_path() == nullptr ? "" : library_path();
  setenv("SUBTEN_ONNXRUNTIME_LIB", "/nowhere/else.so", 1);
  set_onnxruntime_library_hint(kept);
  const Status status = load_ort_library("");
  set_onnxruntime_library_hint("");
  unsetenv("SUBTEN_ONNXRUNTIME_LIB");
  if (!kept.empty()) setenv("SUBTEN_ONNXRUNTIME_LIB", kept.c_str(), 1);
  EXPECT_CODE(kEngineNotFound, status);
  EXPECT_SAYS(status, "/nowhere/else.so");
  EXPECT_SAYS(status, "named by SUBTEN_ONNXRUNTIME_LIB");
}

TEST(OnnxRuntimeLibrary, CorruptFilesAreErrors) {
  std::set<std::string> contents = {"", "x", std::string(100, '\0'),
                                    "\x7f"
                                    "ELF",
                                    std::string(4096, 'E')};
  if (library_path() != nullptr) {
    std::ifstream file(library_path(), std::ios::binary);
    std::ostringstream whole;
    whole << file.rdbuf();
    const std::string bytes = whole.str();
    for (size_t size :
         {size_t{64}, size_t{100}, size_t{4096}, bytes.size() / 2, bytes.size() - 4096, bytes.size() - 1}) {
      contents.insert(bytes.substr(0, size));
    }
  }
  for (const std::string& content : contents) {
    const TemporaryFile file(content, ".so");
    const Status status = load_ort_library(file.path());
    EXPECT_CODE(kEngineNotFound, status);
    EXPECT_SAYS(status, file.path());
  }
}

TEST(OnnxRuntimeLibrary, AnotherLibraryIsNotTakenForIt) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t at = line.find('/');
    if (at == std::string::npos || line.find("libstdc++.so") == std::string::npos) continue;
    const Status status = load_ort_library(line.substr(at));
    EXPECT_CODE(kEngineNotFound, status);
    EXPECT_SAYS(status, "OrtGetApiBase");
    return;
  }
  GTEST_SKIP() << "libstdc++ is linked statically";
}

TEST(OnnxRuntimeLibrary, VersionsBelowTheMinimumAreNamed) {
  for (const char* version : {"1.23.9", "1.17.0", "0.99.0", "2.0.0", "", "one", "1", "1."}) {
    const Status status = check_ort_version(version, "/lib/x.so");
    EXPECT_CODE(kEngineVersion, status);
    EXPECT_SAYS(status, "1.24");
    EXPECT_SAYS(status, version);
  }
  for (const char* version : {"1.24.0", "1.30.0", "1.31.1", "1.100.0", "1.24.1-dev"}) {
    EXPECT_TRUE(check_ort_version(version, "/lib/x.so").is_ok()) << version;
  }
}

TEST(OnnxRuntimeLibrary, LoadsOnceAndSaysItsVersionAndPath) {
  NEEDS_LIBRARY();
  set_onnxruntime_threads(2);
  Engine* engine = onnxruntime_engine();
  EXPECT_EQ(engine->name(), "onnxruntime");
  const Status status = engine->ensure_loaded("");
  ASSERT_TRUE(status.is_ok()) << status.message;
  EXPECT_TRUE(engine->version().starts_with("1.")) << engine->version();
  EXPECT_TRUE(std::filesystem::equivalent(engine->library(), library_path()));
  EXPECT_TRUE(engine->ensure_loaded(library_path()).is_ok());
  EXPECT_CODE(kConfigInvalid, engine->ensure_loaded("/another/lib.so"));
}

// ---- opening ----

TEST(OnnxRuntimeOpen, FilesThatAreNoModel) {
  NEEDS_LIBRARY();
  EXPECT_CODE(kModelNotFound, open("/nowhere/model.onnx").status);
  EXPECT_CODE(kModelInvalid, open("/tmp").status);
  const std::string model = ModelWriter()
                                .node("Relu", {"x"}, {"y"})
                                .input("x", kFloat, {{int64_t{2}}})
                                .output("y", kFloat, {{int64_t{2}}})
                                .bytes();
  for (const std::string& content : {std::string(), std::string("not a model"), std::string(5000, '\xff'),
                                     model.substr(0, model.size() / 2), model.substr(0, model.size() - 30)}) {
    const TemporaryFile file(content);
    const Status status = open(file.path()).status;
    EXPECT_CODE(kModelInvalid, status);
    EXPECT_SAYS(status, file.path());
    EXPECT_EQ(status.message.find('\n'), std::string::npos);
    EXPECT_LT(status.message.size(), 1500U);
  }
  EXPECT_CODE(kModelInvalid, open_text(ModelWriter()
                                           .node("NoSuchOperator", {"x"}, {"y"})
                                           .input("x", kFloat, {{int64_t{2}}})
                                           .output("y", kFloat, {{int64_t{2}}}))
                                 .status);
}

TEST(OnnxRuntimeOpen, TypesWithoutADatatypeAreNamed) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("unsupported_fp8.onnx");
  const std::pair<const char*, const char*> cases[] = {{"unsupported_fp8.onnx", "FLOAT8E4M3FN"},
                                                       {"unsupported_int4.onnx", "INT4"},
                                                       {"unsupported_complex64.onnx", "COMPLEX64"},
                                                       {"unsupported_sequence.onnx", "sequence"}};
  for (const auto& [file, type] : cases) {
    const Status status = open(data_file(file)).status;
    EXPECT_CODE(kNotSupported, status);
    EXPECT_SAYS(status, type);
    EXPECT_SAYS(status, file == std::string("unsupported_sequence.onnx") ? "'list'" : "'x'");
  }
}

TEST(OnnxRuntimeOpen, DescribesTheModel) {
  NEEDS_LIBRARY();
  const Model model = open_text(ModelWriter()
                                    .node("Mul", {"x", "factor"}, {"y"})
                                    .node("Identity", {"free"}, {"also free"})
                                    .input("x", kFloat, {{std::string("n"), int64_t{2}, std::string()}})
                                    .input("factor", kFloat, {{int64_t{1}}})
                                    .input("free", kString, std::nullopt)
                                    .constant("factor", kFloat, {1}, std::string_view("\0\0\0\x40", 4))
                                    .output("y", kFloat, {{std::string("n"), int64_t{2}, std::string()}})
                                    .output("also free", kString, std::nullopt));
  ASSERT_OPENED(model);
  const ModelSpec& spec = model.model->spec();
  ASSERT_EQ(spec.inputs.size(), 3U);
  EXPECT_EQ(spec.inputs[0].name, "x");
  EXPECT_EQ(spec.inputs[0].shape, (Shape{-1, 2, -1}));
  EXPECT_EQ(spec.inputs[0].type, DataType::kFp32);
  EXPECT_FALSE(spec.inputs[0].optional);
  EXPECT_EQ(spec.inputs[1].name, "free");
  EXPECT_EQ(spec.inputs[1].type, DataType::kBytes);
  EXPECT_EQ(spec.inputs[2].name, "factor");
  EXPECT_TRUE(spec.inputs[2].optional);
  ASSERT_EQ(spec.outputs.size(), 2U);
  std::map<std::string, std::string> metadata(spec.metadata.begin(), spec.metadata.end());
  EXPECT_EQ(metadata["producer"], "writer");
  EXPECT_EQ(metadata["model version"], "7");
  EXPECT_EQ(metadata["graph"], "test");
  EXPECT_EQ(metadata["custom.author"], "a test");
}

TEST(OnnxRuntimeOpen, WrongParameterValuesNameTheParameterAndWhatIsLegal) {
  NEEDS_LIBRARY();
  const TemporaryFile file(ModelWriter()
                               .node("Relu", {"x"}, {"y"})
                               .input("x", kFloat, {{int64_t{2}}})
                               .output("y", kFloat, {{int64_t{2}}})
                               .bytes());
  const std::pair<const char*, const char*> wrong[] = {{"intra_op_thread_count", "many"},
                                                       {"intra_op_thread_count", "-1"},
                                                       {"inter_op_thread_count", "1.5"},
                                                       {"inter_op_thread_count", "99999"},
                                                       {"execution_mode", "2"},
                                                       {"optimization_level", "fast"},
                                                       {"level", "3"},
                                                       {"enable_mem_arena", "yes"},
                                                       {"enable_mem_pattern", ""},
                                                       {"log_severity_level", "5"},
                                                       {"memory.enable_memory_arena_shrinkage", "gpu:0"}};
  for (const auto& [name, value] : wrong) {
    EngineOptions options = options_for(file.path());
    options.parameters = {{name, value}};
    const Status status = open(options).status;
    EXPECT_CODE(kConfigInvalid, status);
    EXPECT_SAYS(status, name);
    EXPECT_SAYS(status, "must be");
  }
  EngineOptions options = options_for(file.path());
  options.parameters = {{"enable_mem_arena", "0"}, {"memory.enable_memory_arena_shrinkage", "cpu:0"}};
  EXPECT_CODE(kConfigInvalid, open(options).status);
}

TEST(OnnxRuntimeOpen, EveryParameterRuns) {
  NEEDS_LIBRARY();
  const TemporaryFile file(ModelWriter()
                               .node("Relu", {"x"}, {"y"})
                               .input("x", kFloat, {{std::string("n")}})
                               .output("y", kFloat, {{std::string("n")}})
                               .bytes());
  const std::vector<std::vector<std::pair<std::string, std::string>>> settings = {
      {{"intra_op_thread_count", "3"}},
      {{"intra_op_thread_count", "1"}},
      {{"execution_mode", "1"}, {"inter_op_thread_count", "2"}},
      {{"execution_mode", "1"}},
      {{"level", "-1"}},
      {{"level", "2"}},
      {{"optimization_level", "extended"}},
      {{"enable_mem_arena", "0"}},
      {{"enable_mem_pattern", "0"}},
      {{"memory.enable_memory_arena_shrinkage", "cpu:0"}},
      {{"session.set_denormal_as_zero", "1"}},
      {{"session.intra_op.allow_spinning", "1"}, {"intra_op_thread_count", "2"}},
      {{"log_severity_level", "4"}},
      {{"cudnn_conv_algo_search", "x"}, {"subten.anything", "y"}},
  };
  for (const auto& parameters : settings) {
    EngineOptions options = options_for(file.path());
    options.parameters = parameters;
    const Model model = open(options);
    ASSERT_TRUE(model.status.is_ok()) << parameters[0].first << ": " << model.status.message;
    Recorder recorder;
    run(*model.instance, {{tensor<float>({2}, {-1, 2})}}, &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << parameters[0].first << ": " << recorder.status.message;
    EXPECT_EQ(values<float>(recorder.output(0)), (std::vector<float>{0, 2}));
  }
}

// ---- running ----

TEST(OnnxRuntimeRun, EveryDatatypeEchoes) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("identity_fp32.onnx");
  const std::pair<const char*, size_t> types[] = {
      {"bool", 1},  {"uint8", 1}, {"uint16", 2}, {"uint32", 4}, {"uint64", 8}, {"int8", 1}, {"int16", 2},
      {"int32", 4}, {"int64", 8}, {"fp16", 2},   {"bf16", 2},   {"fp32", 4},   {"fp64", 8}};
  for (const auto& [type, size] : types) {
    const Model model = open(data_file(std::string("identity_") + type + ".onnx"), 8);
    ASSERT_OPENED(model);
    std::string bytes(6 * size, '\0');
    for (size_t i = 0; i < bytes.size(); ++i)
      bytes[i] = static_cast<char>(std::string_view(type) == "bool" ? i % 2 : i);
    for (bool slab_full : {false, true}) {
      Recorder recorder;
      recorder.slab_full = slab_full;
      run(*model.instance, {{{{2, 3}, bytes}}}, &recorder);
      ASSERT_TRUE(recorder.status.is_ok()) << type << ": " << recorder.status.message;
      EXPECT_EQ(recorder.output(0).bytes, bytes) << type;
      EXPECT_EQ(recorder.output(0).shape, (Shape{2, 3}));
      EXPECT_EQ(recorder.output(0).in_slab, !slab_full) << type;
      EXPECT_EQ(recorder.started, 1);
    }
    Recorder empty;
    run(*model.instance, {{{{0, 3}, ""}}}, &empty);
    ASSERT_TRUE(empty.status.is_ok()) << type << ": " << empty.status.message;
    EXPECT_EQ(empty.output(0).shape, (Shape{0, 3}));
  }
}

TEST(OnnxRuntimeRun, ScalarsNamesAndOptionalInputs) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("odd_names.onnx");
  {
    const Model model = open(data_file("scalar.onnx"));
    ASSERT_OPENED(model);
    Recorder recorder;
    run(*model.instance, {{tensor<float>({}, {2.5F})}}, &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    EXPECT_EQ(values<float>(recorder.output(0)), (std::vector<float>{3.5F}));
    EXPECT_TRUE(recorder.output(0).shape.empty());
  }
  {
    const Model model = open(data_file("odd_names.onnx"));
    ASSERT_OPENED(model);
    EXPECT_EQ(model.model->spec().inputs[0].name, "a b/c:0");
    EXPECT_EQ(model.model->spec().inputs[2].name, "__proto__");
    Recorder recorder;
    run(*model.instance,
        {{tensor<float>({1}, {1}), tensor<float>({1}, {2}), tensor<float>({1}, {3}), tensor<float>({1}, {4})}},
        &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    EXPECT_EQ(recorder.outputs(), 4U);
  }
  const Model model = open(data_file("optional_input.onnx"));
  ASSERT_OPENED(model);
  Tensor absent;
  absent.present = false;
  Recorder without;
  run(*model.instance, {{tensor<float>({2}, {1, 2}), absent}}, &without);
  ASSERT_TRUE(without.status.is_ok()) << without.status.message;
  Recorder with;
  run(*model.instance, {{tensor<float>({2}, {1, 2}), tensor<float>({1}, {100})}}, &with);
  ASSERT_TRUE(with.status.is_ok()) << with.status.message;
  EXPECT_EQ(values<float>(with.output(0)), (std::vector<float>{100, 200}));
  EXPECT_EQ(values<float>(without.output(0)), (std::vector<float>{10, 20}));
  Recorder missing;
  run(*model.instance, {{absent, absent}}, &missing);
  EXPECT_CODE(kInvalidInput, missing.status);
  EXPECT_SAYS(missing.status, "'x'");
}

TEST(OnnxRuntimeRun, OutputsWhoseShapeIsKnownOnlyAfterTheRun) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("nonzero.onnx");
  const Model model = open(data_file("nonzero.onnx"));
  ASSERT_OPENED(model);
  Recorder recorder;
  run(*model.instance, {{tensor<float>({4}, {0, 1, 0, 2})}}, &recorder);
  ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
  EXPECT_EQ(recorder.output(0).shape, (Shape{1, 2}));
  EXPECT_FALSE(recorder.output(0).in_slab);
  EXPECT_EQ(values<int64_t>(recorder.output(0)), (std::vector<int64_t>{1, 3}));
}

TEST(OnnxRuntimeRun, StringsInAndOut) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("identity_bytes.onnx");
  const Model model = open(data_file("identity_bytes.onnx"), 8);
  ASSERT_OPENED(model);
  const std::vector<std::vector<std::string>> cases = {
      {"a", "", "ünïcode 🙂"}, {std::string("nul\0inside", 10), std::string(70000, 'x'), "\xff\xfe"}, {"", "", ""}};
  for (const auto& texts : cases) {
    Recorder recorder;
    run(*model.instance, {{{{1, 3}, wire(texts)}}}, &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    EXPECT_EQ(recorder.output(0).bytes, wire(texts));
    EXPECT_EQ(recorder.output(0).shape, (Shape{1, 3}));
  }
  Recorder empty;
  run(*model.instance, {{{{0, 3}, ""}}}, &empty);
  ASSERT_TRUE(empty.status.is_ok()) << empty.status.message;
  EXPECT_EQ(empty.output(0).bytes, "");
}

TEST(OnnxRuntimeRun, MalformedStringsFailTheirRequestAlone) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("identity_bytes.onnx");
  const Model model = open(data_file("identity_bytes.onnx"), 8);
  ASSERT_OPENED(model);
  const std::string good = wire({"one", "two", "three"});
  std::string huge = good;
  std::memset(huge.data(), 0xff, 4);
  const std::vector<std::string> bad = {good.substr(0, good.size() - 1), good + "x",
                                        good + wire({"four"}),           huge,
                                        std::string(12, '\xff'),         wire({"only", "two"}) + "abc"};
  for (const std::string& bytes : bad) {
    Recorder alone;
    run(*model.instance, {{{{1, 3}, bytes}}}, &alone);
    EXPECT_CODE(kInvalidInput, alone.status);
    EXPECT_SAYS(alone.status, "'x'");
    Recorder together;
    run(*model.instance, {{{{1, 3}, bytes}}, {{{1, 3}, good}}}, &together);
    ASSERT_TRUE(together.status.is_ok()) << together.status.message;
    ASSERT_EQ(together.failures.size(), 1U);
    EXPECT_CODE(kInvalidInput, together.failures[0]);
    EXPECT_TRUE(together.output(0).bytes.ends_with(good));
    EXPECT_EQ(together.output(0).shape, (Shape{2, 3}));
  }
  Recorder none;
  run(*model.instance, {{{{1, 3}, bad[3]}}, {{{1, 3}, bad[4]}}}, &none);
  EXPECT_CODE(kInvalidInput, none.status);
  Recorder greedy;
  run(*model.instance, {{{{int64_t{1} << 40, 3}, good}}}, &greedy);
  EXPECT_CODE(kInvalidInput, greedy.status);
}

TEST(OnnxRuntimeRun, WrongSizesAndFailingRunsFailTheBatch) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("fails_at_run.onnx");
  const Model gather = open(data_file("fails_at_run.onnx"));
  ASSERT_OPENED(gather);
  for (int round = 0; round < 3; ++round) {
    Recorder failing;
    run(*gather.instance, {{tensor<int64_t>({1}, {1000000})}}, &failing);
    EXPECT_CODE(kEngineFailed, failing.status);
    EXPECT_EQ(failing.status.message.find('\n'), std::string::npos);
    Recorder fine;
    run(*gather.instance, {{tensor<int64_t>({1}, {0})}}, &fine);
    EXPECT_TRUE(fine.status.is_ok()) << fine.status.message;
  }
  Recorder small;
  run(*gather.instance, {{{{4}, std::string(8, '\0')}}}, &small);
  EXPECT_CODE(kInvalidInput, small.status);
  Recorder overflow;
  run(*gather.instance, {{{{int64_t{1} << 62}, std::string(8, '\0')}}}, &overflow);
  EXPECT_CODE(kInvalidInput, overflow.status);

  const Model fixed = open(data_file("fixed_batch.onnx"));
  ASSERT_OPENED(fixed);
  Recorder shape;
  run(*fixed.instance, {{tensor<float>({1, 2}, {1, 2})}}, &shape);
  EXPECT_CODE(kEngineFailed, shape.status);
}

TEST(OnnxRuntimeRun, AModelThatLiesAboutItsShapeIsRunAgainWithoutTrust) {
  NEEDS_LIBRARY();
  // [n, 2] flattened to [1, 2 n], declared as [n, 2].
  const int64_t target[] = {1, -1};
  const Model model =
      open_text(ModelWriter()
                    .node("Reshape", {"x", "target"}, {"y"})
                    .constant("target", 7, {2}, std::string_view(reinterpret_cast<const char*>(target), sizeof(target)))
                    .input("x", kFloat, {{std::string("n"), int64_t{2}}})
                    .output("y", kFloat, {{std::string("n"), std::string("m")}})
                    .node("Relu", {"y"}, {"z"})
                    .output("z", kFloat, {{std::string("n"), std::string("n")}}));
  ASSERT_OPENED(model);
  for (int round = 0; round < 3; ++round) {
    Recorder recorder;
    run(*model.instance, {{tensor<float>({3, 2}, {1, 2, 3, 4, 5, 6})}}, &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    EXPECT_EQ(recorder.output(0).shape, (Shape{1, 6}));
    EXPECT_EQ(recorder.output(1).shape, (Shape{1, 6}));
    EXPECT_EQ(values<float>(recorder.output(1)), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  }
}

TEST(OnnxRuntimeRun, OutputsThatAreInputsOrConstantsAreCopies) {
  NEEDS_LIBRARY();
  const float constant[] = {7, 8};
  const std::string_view raw(reinterpret_cast<const char*>(constant), sizeof(constant));
  for (bool slab_full : {false, true}) {
    const Model model = open_text(ModelWriter()
                                      .node("Identity", {"x"}, {"same"})
                                      .node("Identity", {"c"}, {"folded"})
                                      .constant("c", kFloat, {2}, raw)
                                      .input("x", kFloat, {{int64_t{2}}})
                                      .output("same", kFloat, {{int64_t{2}}})
                                      .output("folded", kFloat, {{int64_t{2}}})
                                      .output("c", kFloat, {{int64_t{2}}}));
    ASSERT_OPENED(model);
    for (int round = 0; round < 2; ++round) {
      Recorder recorder;
      recorder.slab_full = slab_full;
      run(*model.instance, {{tensor<float>({2}, {1, 2})}}, &recorder);
      ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
      EXPECT_EQ(values<float>(recorder.output(0)), (std::vector<float>{1, 2}));
      EXPECT_EQ(values<float>(recorder.output(1)), (std::vector<float>{7, 8}));
      EXPECT_EQ(values<float>(recorder.output(2)), (std::vector<float>{7, 8}));
    }
    const Model through = open_text(ModelWriter()
                                        .node("Relu", {"x"}, {"y"})
                                        .input("x", kFloat, {{int64_t{2}}})
                                        .output("y", kFloat, {{int64_t{2}}})
                                        .output("x", kFloat, {{int64_t{2}}}));
    if (!through.status.is_ok()) continue;  // the library may refuse such a graph
    Recorder recorder;
    recorder.slab_full = slab_full;
    run(*through.instance, {{tensor<float>({2}, {-1, 2})}}, &recorder);
    ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    EXPECT_EQ(values<float>(recorder.output(1)), (std::vector<float>{-1, 2}));
  }
}

TEST(OnnxRuntimeRun, InstancesOfAModelRunAtTheSameTime) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("add_dynamic.onnx");
  Model model = open(data_file("add_dynamic.onnx"), 64);
  ASSERT_OPENED(model);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::unique_ptr<EngineInstance> instance;
      ASSERT_TRUE(model.model->create_instance(&instance).is_ok());
      for (int round = 0; round < 300; ++round) {
        const int64_t rows = 1 + (round * 7 + t) % 40;
        std::vector<float> a(static_cast<size_t>(rows) * 3);
        std::iota(a.begin(), a.end(), static_cast<float>(t));
        Recorder recorder;
        run(*instance, {{tensor<float>({rows, 3}, a), tensor<float>({rows, 3}, a)}}, &recorder);
        ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
        for (float& value : a) value *= 2;
        ASSERT_EQ(values<float>(recorder.output(0)), a);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(OnnxRuntimeRun, TerminateEndsTheRunAndOnlyThatRun) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("slow.onnx");
  const Model model = open(data_file("slow.onnx"));
  ASSERT_OPENED(model);
  const auto input = [](int64_t turns) {
    return std::vector<Tensor>{tensor<float>({1, 4}, {1, 2, 3, 4}), tensor<int64_t>({}, {turns})};
  };
  model.instance->terminate();  // between runs: nothing
  Recorder quick;
  run(*model.instance, {input(1)}, &quick);
  ASSERT_TRUE(quick.status.is_ok()) << quick.status.message;

  for (int round = 0; round < 3; ++round) {
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      model.instance->terminate();
      model.instance->terminate();
    });
    const auto start = std::chrono::steady_clock::now();
    Recorder stopped;
    run(*model.instance, {input(int64_t{1} << 40)}, &stopped);
    stopper.join();
    EXPECT_CODE(kEngineFailed, stopped.status);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    Recorder after;
    run(*model.instance, {input(1)}, &after);
    EXPECT_TRUE(after.status.is_ok()) << after.status.message;
  }
}

TEST(OnnxRuntimeRun, ResultsOutliveTheModel) {
  NEEDS_LIBRARY();
  NEEDS_MODEL("nonzero.onnx");
  auto recorder = std::make_unique<Recorder>();
  {
    Model model = open(data_file("nonzero.onnx"));
    ASSERT_OPENED(model);
    recorder->slab_full = true;
    run(*model.instance, {{tensor<float>({3}, {1, 0, 1})}}, recorder.get());
    model.instance.reset();
  }
  EXPECT_EQ(values<int64_t>(recorder->output(0)), (std::vector<int64_t>{0, 2}));
  recorder.reset();  // releases a value of a session that is gone
}

// ---- threads and memory ----

TEST(OnnxRuntimeThreads, PoolThreadsAreNice) {
  NEEDS_LIBRARY();
  EngineOptions options = options_for("");
  const TemporaryFile file(ModelWriter()
                               .node("Relu", {"x"}, {"y"})
                               .input("x", kFloat, {{std::string("n")}})
                               .output("y", kFloat, {{std::string("n")}})
                               .bytes());
  options.model_path = file.path();
  options.parameters = {{"intra_op_thread_count", "4"}};
  const auto count_nice = [] {
    int found = 0;
    DIR* directory = opendir("/proc/self/task");
    while (const dirent* entry = readdir(directory)) {
      std::ifstream name(std::string("/proc/self/task/") + entry->d_name + "/comm");
      std::string text;
      std::getline(name, text);
      if (text != "subten-compute") continue;
      ++found;
      EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(std::atoi(entry->d_name))), 19);
    }
    closedir(directory);
    return found;
  };
  const Model warm = open(options_for(file.path()));
  ASSERT_OPENED(warm);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const int before = count_nice();
  EXPECT_EQ(before, onnxruntime_threads().compute_threads - 1);
  {
    const Model model = open(options);
    ASSERT_OPENED(model);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(count_nice(), before + 3);
  }
  EXPECT_EQ(count_nice(), before);
}

TEST(OnnxRuntimeMemory, ClosingGivesMemoryBack) {
  NEEDS_LIBRARY();
  std::string weights(size_t{16} << 20, '\0');
  ModelWriter writer;
  writer.input("x", kFloat, {{std::string("n"), int64_t{2048}}});
  std::string last = "x";
  for (int layer = 0; layer < 3; ++layer) {
    for (size_t i = 0; i < weights.size(); i += 4) weights[i] = static_cast<char>(i * 31 + static_cast<size_t>(layer));
    const std::string weight = "w" + std::to_string(layer);
    const std::string next = "h" + std::to_string(layer);
    writer.constant(weight, kFloat, {2048, 2048}, weights).node("MatMul", {last, weight}, {next});
    last = next;
  }
  writer.output(last, kFloat, {{std::string("n"), int64_t{2048}}});
  const TemporaryFile file(writer.bytes());
  writer = {};
  weights = {};
  const auto resident_mb = [] {
    std::ifstream statm("/proc/self/statm");
    long size = 0;
    long resident = 0;
    statm >> size >> resident;
    return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
  };
  double after_third = 0;
  double last_cycle = 0;
  for (int cycle = 0; cycle < 30; ++cycle) {
    {
      const Model model = open(file.path(), 16);
      ASSERT_OPENED(model);
      Recorder recorder;
      run(*model.instance, {{tensor<float>({16, 2048}, std::vector<float>(16 * 2048, 0.5F))}}, &recorder);
      ASSERT_TRUE(recorder.status.is_ok()) << recorder.status.message;
    }
    last_cycle = resident_mb();
    if (cycle == 2) after_third = last_cycle;
  }
  std::printf("resident after cycle 3: %.1f MB, after cycle 30: %.1f MB\n", after_third, last_cycle);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(last_cycle - after_third, 20.0);
#endif
}

// ---- parts that need no library ----

TEST(OnnxRuntimeText, IsCutBetweenCharacters) {
  EXPECT_EQ(one_line("  a\n\tb  "), "a b");
  EXPECT_EQ(one_line("aé", 2), "a...");
  EXPECT_EQ(one_line("aé", 3), "aé");
  EXPECT_EQ(one_line("\xf0\x9f\x99\x82\xf0\x9f\x99\x82", 6), "\xf0\x9f\x99\x82...");
}

TEST(OnnxRuntimeStrings, TheReaderNeverLeavesItsBytes) {
  for (const std::string& bytes : {std::string(), std::string("\x01\0\0", 3), std::string("\x02\0\0\0a", 5),
                                   std::string(4, '\xff'), std::string("\0\0\0\0\xff", 5)}) {
    const std::vector<char> exact(bytes.begin(), bytes.end());  // so that a sanitizer sees the edge
    WireStrings strings(exact.data(), exact.size());
    while (strings.next()) {
    }
    EXPECT_LE(strings.left(), exact.size());
  }
}

TEST(OnnxRuntimeSwitch, AStopNeverReachesTheNextRun) {
  RunSwitch run_switch;
  std::atomic<bool> flag{false};
  std::atomic<bool> finished{false};
  std::thread stopper([&] {
    while (!finished.load()) run_switch.stop([&] { flag.store(true); });
  });
  for (int round = 0; round < 20000; ++round) {
    ASSERT_FALSE(flag.load());
    run_switch.begin();
    if (run_switch.end()) flag.store(false);
  }
  finished.store(true);
  stopper.join();
}

}  // namespace
}  // namespace subten
