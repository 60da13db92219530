// The engine TensorRT against a TensorRT and a driver of ours (fake_tensorrt.h, fake_driver.h).

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engines/common/sha256.h"
#include "engines/tensorrt/library.h"
#include "engines/tensorrt/tensorrt_engine.h"
#include "fake_driver.h"
#include "fake_tensorrt.h"
#include "metrics/histogram.h"
#include "recorder.h"

namespace subten {
namespace {

template <class State>
State& from(const char* file, const char* symbol) {
  void* handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  return *reinterpret_cast<State* (*)()>(dlsym(handle, symbol))();
}

fake_cuda::Driver& cuda() { return from<fake_cuda::Driver>(SUBTEN_FAKE_CUDA, "subten_fake_cuda"); }
fake_tensorrt::State& tensorrt() { return from<fake_tensorrt::State>(SUBTEN_FAKE_TENSORRT, "subten_fake_tensorrt"); }

// x [n, 3] to y [n, 2], with a profile for single rows and one for up to 6.
constexpr std::string_view kPlan =
    R"({"name":"fake","layers":2,"hardware":"none","factor":2,"profileMemory":[64,4096],"tensors":[)"
    R"({"name":"x","input":true,"datatype":"FP32","linear":true,"shape":[-1,3]},)"
    R"({"name":"y","input":false,"datatype":"FP32","linear":true,"shape":[-1,2]}],)"
    R"("profiles":[{"x":[[1,3],[1,3],[1,3]]},{"x":[[1,3],[4,3],[6,3]]}]})";

class Tensorrt : public testing::Test {
 protected:
  void SetUp() override {
    setenv("SUBTEN_CUDA_DRIVER", SUBTEN_FAKE_CUDA, 1);
    setenv("SUBTEN_TENSORRT_PLUGIN", SUBTEN_FAKE_TENSORRT, 1);
    unsetenv("SUBTEN_TENSORRT_LIB");
    cuda().reset();
    tensorrt().reset();
    write(kPlan);
    options_.model_path = path_;
    options_.library_path = SUBTEN_FAKE_TENSORRT;
    options_.max_batch_size = 6;
  }
  void TearDown() override {
    instances_.clear();
    model_.reset();
    std::filesystem::remove(path_);
    EXPECT_EQ(tensorrt().engines, 0);
    EXPECT_EQ(tensorrt().contexts, 0);
    EXPECT_EQ(cuda().contexts, 0);
    EXPECT_EQ(cuda().streams, 0);
    EXPECT_EQ(cuda().events, 0);
    EXPECT_EQ(cuda().graphs, 0);
    EXPECT_EQ(cuda().pushed, 0);
    EXPECT_TRUE(cuda().registered.empty());
    EXPECT_TRUE(cuda().memory.empty());
  }

  void write(std::string_view text) { std::ofstream(path_, std::ios::binary) << text; }
  Status open() { return tensorrt_engine()->open(options_, &model_); }
  Status instance() {
    std::unique_ptr<EngineInstance> made;
    Status status = model_->create_instance(&made);
    if (status.is_ok()) instances_.push_back(std::move(made));
    return status;
  }
  // Runs rows of 1, 2, 3, … on the instance, and gives what came out.
  Status run(uint32_t rows, std::vector<float>* out, size_t at = 0) {
    data_.resize(rows * 3);
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<float>(i + 1);
    BatchTensor input;
    input.data = data_.data();
    input.bytes = data_.size() * sizeof(float);
    input.shape = {rows, 3};
    Recorder recorder;
    instances_[at]->execute({rows, {}, {&input, 1}}, &recorder);
    recorder.wait();
    *out = recorder.output;
    return recorder.status;
  }
  static std::vector<float> expected(uint32_t rows) {
    std::vector<float> values;
    for (uint32_t row = 0; row < rows; ++row) {
      const auto first = static_cast<float>(row * 3 + 1);
      values.insert(values.end(), {2 * (3 * first + 3), 2 * (3 * first + 3) + 1});
    }
    return values;
  }
  std::string metadata(const std::string& name) const {
    for (const auto& [key, value] : model_->spec().metadata) {
      if (key == name) return value;
    }
    return "";
  }

  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("subten-" + std::to_string(getpid()) + ".plan")).string();
  EngineOptions options_;
  std::unique_ptr<EngineModel> model_;
  std::vector<std::unique_ptr<EngineInstance>> instances_;
  std::vector<float> data_;
};

// First, since a process keeps the library that it has found.
TEST_F(Tensorrt, a_library_that_is_missing_or_of_the_wrong_version_is_named) {
  if (loaded_tensorrt().plugin != nullptr) GTEST_SKIP() << "another test has loaded the library";
  options_.library_path = "/nowhere/libnvinfer.so.11";
  Status status = open();
  EXPECT_EQ(status.code, Code::kEngineNotFound);
  EXPECT_NE(status.message.find("/nowhere/libnvinfer.so.11"), std::string::npos) << status.message;

  options_.library_path = SUBTEN_FAKE_CUDA;
  status = open();
  EXPECT_EQ(status.code, Code::kEngineVersion);
  EXPECT_NE(status.message.find("no library of TensorRT"), std::string::npos) << status.message;

  options_.library_path = SUBTEN_FAKE_TENSORRT;
  for (const int32_t version : {100300, 90000, 120000}) {
    tensorrt().version = version;
    status = open();
    EXPECT_EQ(status.code, Code::kEngineVersion) << version;
    EXPECT_NE(status.message.find("10.6 and newer of 10, 11"), std::string::npos) << status.message;
  }
  tensorrt().version = 100900;  // the shared object is for 11
  status = open();
  EXPECT_EQ(status.code, Code::kEngineVersion);
  EXPECT_NE(status.message.find("is made for 11.1"), std::string::npos) << status.message;

  tensorrt().version = 110100;
  setenv("SUBTEN_TENSORRT_PLUGIN", "/nowhere/subten_tensorrt_11.so", 1);
  status = open();
  EXPECT_EQ(status.code, Code::kEngineNotFound);
  EXPECT_NE(status.message.find("npm run build:tensorrt"), std::string::npos) << status.message;
}

TEST_F(Tensorrt, every_number_of_rows_is_answered_by_a_recording) {
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  EXPECT_EQ(metadata("TensorRT"), "11.1.0");
  EXPECT_EQ(metadata("cuda graphs"), "batches of 1, 2, 4, 6; 1 stream");
  EXPECT_NE(metadata("plan").find(sha256_hex(kPlan.data(), kPlan.size())), std::string::npos);
  EXPECT_EQ(tensorrt().contexts, 2);  // one for each profile
  const size_t enqueued = tensorrt().count("enqueue");
  for (const uint32_t rows : {5U, 1U, 6U, 3U, 2U, 4U}) {
    std::vector<float> out;
    ASSERT_EQ(run(rows, &out).message, "");
    EXPECT_EQ(out, expected(rows)) << rows;
  }
  EXPECT_EQ(tensorrt().count("enqueue"), enqueued);
  EXPECT_EQ(cuda().count("cuGraphLaunch"), 6U);
}

TEST_F(Tensorrt, without_recordings_the_answers_are_the_same) {
  options_.parameters.emplace_back("graphs", "0");
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  EXPECT_EQ(metadata("cuda graphs"), "none: graphs is 0");
  std::vector<float> out;
  for (const uint32_t rows : {5U, 1U, 6U}) {
    ASSERT_EQ(run(rows, &out).message, "");
    EXPECT_EQ(out, expected(rows));
  }
  EXPECT_EQ(cuda().count("cuGraphLaunch"), 0U);
}

TEST_F(Tensorrt, times_on_the_device_are_taken_of_every_eighth_batch) {
  cuda().task_delay_us = 200;
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  std::vector<float> out;
  for (int i = 0; i < 17; ++i) ASSERT_EQ(run(2, &out).message, "");
  std::map<std::string, HistogramSummary> found;
  const auto look = [&] {
    model_->each_stage([&](std::string_view name, const Histogram& histogram) {
      std::vector<uint64_t> counts(Histogram::kCounters);
      uint64_t sum = 0;
      uint64_t max = 0;
      histogram.add_to(counts.data(), &sum, &max);
      found[std::string(name)] = summarise(counts.data(), sum, max);
    });
  };
  look();
  ASSERT_EQ(found.size(), 3U);
  for (const auto& [name, summary] : found) {
    EXPECT_EQ(summary.count, 3U) << name;
    EXPECT_GE(summary.p50, 200e3) << name;  // at least what each task of the fake waits
  }
  model_->reset_stages();
  // A measurement that fails is left out, and the batch is answered.
  cuda().failures_for_good["cuEventElapsedTime"] = 400;
  for (int i = 0; i < 8; ++i) ASSERT_EQ(run(2, &out).message, "");
  EXPECT_EQ(out, expected(2));
  look();
  EXPECT_EQ(found["deviceCompute"].count, 0U);
}

TEST_F(Tensorrt, a_plan_that_cannot_be_recorded_runs_all_the_same) {
  cuda().failures["cuStreamEndCapture"] = 900;
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  EXPECT_EQ(metadata("cuda graphs").find("none: "), 0U) << metadata("cuda graphs");
  std::vector<float> out;
  ASSERT_EQ(run(3, &out).message, "");
  EXPECT_EQ(out, expected(3));
}

TEST_F(Tensorrt, a_failed_run_fails_its_batch_and_the_next_one_is_answered) {
  options_.parameters.emplace_back("graphs", "0");
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  std::vector<float> out;
  tensorrt().failures["enqueue"] = {static_cast<int32_t>(Code::kEngineFailed), "TensorRT failed to run the plan: test"};
  Status status = run(2, &out);
  EXPECT_EQ(status.code, Code::kEngineFailed);
  EXPECT_NE(status.message.find("TensorRT failed to run the plan: test."), std::string::npos) << status.message;
  ASSERT_EQ(run(2, &out).message, "");
  EXPECT_EQ(out, expected(2));
  cuda().failures["cuMemcpyHtoDAsync_v2"] = 719;
  EXPECT_EQ(run(2, &out).code, Code::kEngineFailed);
  ASSERT_EQ(run(2, &out).message, "");
}

TEST_F(Tensorrt, a_lost_device_fails_every_batch_and_takes_nothing_down) {
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(instance().message, "");
  cuda().lost = 719;
  std::vector<float> out;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(run(1, &out).code, Code::kEngineFailed);
  instances_.clear();
  model_.reset();
  cuda().lost = 0;
}

TEST_F(Tensorrt, what_fails_while_the_plan_is_opened_leaves_nothing_behind) {
  const auto code = static_cast<int32_t>(Code::kModelInvalid);
  for (const char* call : {"open", "describe", "create_context", "bind_input", "bind_output", "enqueue"}) {
    tensorrt().failures[call] = {code, "as the test wants it"};
    const Status status = open();
    EXPECT_EQ(status.code, Code::kModelInvalid) << call;
    EXPECT_NE(status.message.find("as the test wants it."), std::string::npos) << status.message;
    EXPECT_EQ(tensorrt().engines, 0) << call;
    EXPECT_EQ(tensorrt().contexts, 0) << call;
    EXPECT_TRUE(tensorrt().failures.empty()) << call;
  }
  for (const char* call : {"cuMemAllocAsync", "cuStreamCreate", "cuDevicePrimaryCtxRetain", "cuEventCreate"}) {
    cuda().failures[call] = 2;
    EXPECT_FALSE(open().is_ok()) << call;
    EXPECT_EQ(tensorrt().engines, 0) << call;
    EXPECT_EQ(cuda().streams, 0) << call;
  }
}

TEST_F(Tensorrt, files_that_are_no_plan_are_told_apart) {
  write("no JSON");
  EXPECT_EQ(open().code, Code::kModelInvalid);
  write("");
  EXPECT_EQ(open().code, Code::kModelInvalid);
  options_.model_path = "/nowhere/model.plan";
  EXPECT_EQ(open().code, Code::kModelNotFound);
}

TEST_F(Tensorrt, a_plan_with_another_digest_than_the_pinned_one_is_not_given_to_tensorrt) {
  options_.settings.emplace_back("plan_sha256", std::string(64, '0'));
  const Status status = open();
  EXPECT_EQ(status.code, Code::kModelInvalid);
  EXPECT_NE(status.message.find("A plan is code"), std::string::npos) << status.message;
  EXPECT_EQ(tensorrt().count("open"), 0U);
  options_.settings.back().second = sha256_hex(kPlan.data(), kPlan.size());
  EXPECT_EQ(open().message, "");
}

TEST_F(Tensorrt, without_a_device_nothing_of_tensorrt_is_called) {
  cuda().devices.clear();
  const Status status = open();
  EXPECT_FALSE(status.is_ok());
  EXPECT_EQ(status.message.find("A TensorRT plan runs on an NVIDIA GPU."), 0U) << status.message;
  EXPECT_EQ(tensorrt().count("open"), 0U);
}

TEST_F(Tensorrt, several_devices_have_the_plan_and_their_streams_each) {
  cuda().devices.resize(3);
  options_.settings.emplace_back("devices", "0,2");
  options_.settings.emplace_back("instances", "2");
  ASSERT_EQ(open().message, "");
  EXPECT_EQ(tensorrt().engines, 2);
  EXPECT_EQ(metadata("cuda graphs"), "batches of 1, 2, 4, 6; 4 streams");
  EXPECT_EQ(metadata("device").find("cuda:0, Fake GPU"), 0U) << metadata("device");
  EXPECT_NE(metadata("device").find("; cuda:2, "), std::string::npos) << metadata("device");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(instance().message, "");
  EXPECT_EQ(instance().code, Code::kEngineFailed);
  for (size_t i = 0; i < 4; ++i) {
    std::vector<float> out;
    ASSERT_EQ(run(3, &out, i).message, "");
    EXPECT_EQ(out, expected(3));
  }
  options_.settings[0].second = "0,7";
  model_.reset();
  instances_.clear();
  EXPECT_EQ(open().code, Code::kConfigInvalid);
}

TEST_F(Tensorrt, weights_are_streamed_and_replaced_as_asked) {
  options_.parameters.emplace_back("weight_budget_mb", "3");
  options_.settings.emplace_back("refit_from", "/models/m/1/weights.onnx");
  ASSERT_EQ(open().message, "");
  EXPECT_EQ(tensorrt().weight_budget, int64_t{3} << 20);
  EXPECT_EQ(tensorrt().refitted_from, "/models/m/1/weights.onnx");
  model_.reset();
  tensorrt().failures["refit"] = {static_cast<int32_t>(Code::kConfigInvalid), "the plan was not built with --refit"};
  EXPECT_EQ(open().code, Code::kConfigInvalid);
}

TEST_F(Tensorrt, parameters_that_are_none_are_refused) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"graphs", "yes"}, {"pinned_memory", "2"}, {"weight_budget_mb", "-1"}, {"weight_budget_mb ", "x"}}) {
    options_.parameters = {{name == "weight_budget_mb " ? "weight_budget_mb" : name, value}};
    const Status status = open();
    EXPECT_EQ(status.code, Code::kConfigInvalid) << name;
    EXPECT_NE(status.message.find(options_.parameters[0].first), std::string::npos) << status.message;
  }
}

TEST_F(Tensorrt, the_slab_is_page_locked_unless_told_otherwise) {
  alignas(4096) static char slab[8192];
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(model_->use_memory(slab, sizeof slab).message, "");
  EXPECT_EQ(cuda().registered.size(), 1U);
  model_.reset();
  EXPECT_TRUE(cuda().registered.empty());
  options_.parameters.emplace_back("pinned_memory", "0");
  ASSERT_EQ(open().message, "");
  ASSERT_EQ(model_->use_memory(slab, sizeof slab).message, "");
  EXPECT_TRUE(cuda().registered.empty());
}

TEST_F(Tensorrt, a_process_has_one_library) {
  ASSERT_EQ(open().message, "");
  options_.library_path = "/nowhere";
  const Status status = open();
  EXPECT_EQ(status.code, Code::kEngineVersion);
  EXPECT_NE(status.message.find("a process has one"), std::string::npos) << status.message;
  // A plan that TensorRT for RTX has built.
  options_.library_path = "";
  write("vtrt" + std::string(20, '\0') + '\1');
  EXPECT_EQ(open().code, Code::kEngineVersion);
}

}  // namespace
}  // namespace subten
