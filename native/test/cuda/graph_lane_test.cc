// A lane against the fake driver, whose memory is the host's: the session runs on the CPU over the lane's buffers.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "engines/onnxruntime/graph_lane.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/onnxruntime_engine.h"
#include "fake_driver.h"
#include "recorder.h"

namespace subten {
namespace {

#define NEEDS_LIBRARY() \
  if (std::getenv("SUBTEN_ONNXRUNTIME_LIB") == nullptr) GTEST_SKIP() << "SUBTEN_ONNXRUNTIME_LIB names no library"

fake_cuda::Driver& fake() {
  void* handle = dlopen(SUBTEN_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
  return *reinterpret_cast<fake_cuda::GetDriver>(dlsym(handle, "subten_fake_cuda"))();
}

class OnnxRuntimeGraphLanes : public testing::Test {
 protected:
  void SetUp() override {
    NEEDS_LIBRARY();
    setenv("SUBTEN_CUDA_DRIVER", SUBTEN_FAKE_CUDA, 1);
    fake().reset();
    ASSERT_EQ(load_ort_library("").message, "");
    EngineOptions options;
    options.model_path = path_;
    options.max_batch_size = 6;
    ASSERT_EQ(open_ort_model(options, &model_).message, "");
    ASSERT_EQ(plan_graphs(*model_, 6, &plan_), "");
    ASSERT_EQ(onnxruntime_engine()->open(options, &eager_).message, "");
    ASSERT_EQ(eager_->create_instance(&reference_).message, "");
  }
  void TearDown() override {
    EXPECT_EQ(fake().streams, 0);
    EXPECT_EQ(fake().contexts, 0);
    EXPECT_TRUE(fake().memory.empty());
  }

  Status make(std::unique_ptr<CudaLane>* lane) {
    GraphLaneOptions options{path_, model_->parameters, 0, true};
    return create_graph_lane(plan_, std::move(options), lane);
  }
  BatchTensor tensor(uint32_t rows) {
    const auto width = static_cast<size_t>(plan_.lane.inputs[0].row[0]);
    data_.resize(rows * width);
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<float>((i * 37 + rows) % 19) / 7.0F - 1.0F;
    BatchTensor input;
    input.data = data_.data();
    input.bytes = data_.size() * sizeof(float);
    input.shape = {rows, static_cast<int64_t>(width)};
    return input;
  }

  const std::string path_ = std::string(SUBTEN_SOURCE_DIR) + "/models/mlp/1/model.onnx";
  std::unique_ptr<OrtModelState> model_;
  std::unique_ptr<EngineModel> eager_;
  std::unique_ptr<EngineInstance> reference_;
  GraphPlan plan_;
  std::vector<float> data_;
};

TEST(LaneSizes, are_powers_of_two_up_to_the_largest_batch_and_that_one) {
  EXPECT_EQ(lane_sizes(1), (std::vector<uint32_t>{1}));
  EXPECT_EQ(lane_sizes(8), (std::vector<uint32_t>{1, 2, 4, 8}));
  EXPECT_EQ(lane_sizes(12), (std::vector<uint32_t>{1, 2, 4, 8, 12}));
}

TEST_F(OnnxRuntimeGraphLanes, every_number_of_rows_gets_the_answers_of_an_unpadded_run) {
  std::unique_ptr<CudaLane> lane;
  ASSERT_EQ(make(&lane).message, "");
  for (const uint32_t rows : {5U, 1U, 6U, 3U, 2U, 4U}) {
    const BatchTensor input = tensor(rows);
    Recorder padded;
    Recorder plain;
    lane->start({rows, {}, {&input, 1}}, &padded);
    padded.wait();
    reference_->execute({rows, {}, {&input, 1}}, &plain);
    ASSERT_EQ(padded.status.message, "");
    ASSERT_EQ(plain.status.message, "");
    EXPECT_EQ(padded.shape, plain.shape);
    ASSERT_EQ(padded.output.size(), plain.output.size());
    for (size_t i = 0; i < plain.output.size(); ++i) EXPECT_NEAR(padded.output[i], plain.output[i], 1e-5) << rows;
  }
}

TEST_F(OnnxRuntimeGraphLanes, outputs_go_into_memory_of_the_lane_where_the_slab_is_full) {
  std::unique_ptr<CudaLane> lane;
  ASSERT_EQ(make(&lane).message, "");
  const BatchTensor input = tensor(2);
  Recorder recorder;
  recorder.slab_full = true;
  lane->start({2, {}, {&input, 1}}, &recorder);
  recorder.wait();
  EXPECT_EQ(recorder.status.message, "");
  EXPECT_TRUE(recorder.adopted);
}

TEST_F(OnnxRuntimeGraphLanes, a_failed_copy_fails_its_batch_and_the_next_one_is_answered) {
  std::unique_ptr<CudaLane> lane;
  ASSERT_EQ(make(&lane).message, "");
  const BatchTensor input = tensor(2);
  for (const char* call : {"cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"}) {
    fake().failures[call] = 1;
    Recorder failing;
    lane->start({2, {}, {&input, 1}}, &failing);
    failing.wait();
    EXPECT_EQ(failing.status.code, Code::kEngineFailed) << call;
    Recorder next;
    lane->start({2, {}, {&input, 1}}, &next);
    next.wait();
    EXPECT_EQ(next.status.message, "") << call;
  }
}

TEST_F(OnnxRuntimeGraphLanes, a_lost_device_fails_every_batch_and_says_so) {
  std::unique_ptr<CudaLane> lane;
  ASSERT_EQ(make(&lane).message, "");
  fake().lost = 719;
  const BatchTensor input = tensor(1);
  for (int i = 0; i < 2; ++i) {
    Recorder recorder;
    lane->start({1, {}, {&input, 1}}, &recorder);
    recorder.wait();
    EXPECT_EQ(recorder.status.code, Code::kEngineFailed);
    EXPECT_NE(recorder.status.message.find("lost to this process"), std::string::npos) << recorder.status.message;
  }
}

TEST_F(OnnxRuntimeGraphLanes, a_batch_of_more_rows_than_were_recorded_is_refused) {
  std::unique_ptr<CudaLane> lane;
  ASSERT_EQ(make(&lane).message, "");
  const BatchTensor input = tensor(7);
  Recorder recorder;
  lane->start({7, {}, {&input, 1}}, &recorder);
  recorder.wait();
  EXPECT_EQ(recorder.status.code, Code::kInvalidInput);
}

TEST_F(OnnxRuntimeGraphLanes, a_device_without_memory_for_the_buffers_fails_the_load_and_leaves_nothing_behind) {
  fake().failures["cuMemAllocAsync"] = 2;
  std::unique_ptr<CudaLane> lane;
  EXPECT_EQ(make(&lane).code, Code::kOutOfMemory);
  EXPECT_EQ(lane, nullptr);
}

}  // namespace
}  // namespace subten
