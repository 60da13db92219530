// The Triton backend in a server of our own, which counts what it is given back.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engines/common/json.h"
#include "test/engines/onnxruntime_model_writer.h"
#include "test/triton_backend/fake_triton.h"
#include "triton_backend/model_config.h"

namespace subten::triton_backend {
namespace {

using test::fake_counts;
using test::ModelWriter;
constexpr int kFloat = 1;
constexpr int kInt64 = 7;
constexpr int kString = 8;

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string wire(const std::vector<std::string>& texts) {
  std::string bytes;
  for (const std::string& text : texts) {
    const auto length = static_cast<uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes.append(text);
  }
  return bytes;
}

// A model of one instance, loaded for as long as this lives.
class Served {
 public:
  explicit Served(const ModelWriter& writer, std::string config = R"({"max_batch_size": 8})",
                  InstanceKind kind = InstanceKind::kCpu) {
    set_api(test::fake_triton());
    static int count = 0;
    folder_ = std::filesystem::temp_directory_path() /
              ("subten-triton-" + std::to_string(getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(folder_ / "1");
    std::ofstream(folder_ / "1" / "model.onnx", std::ios::binary) << writer.bytes();
    model.backend = &backend;
    model.folder = folder_;
    model.config = std::move(config);
    instance.model = &model;
    instance.kind = kind;
    error_.reset(TRITONBACKEND_ModelInitialize(&model));
    if (!error_) {
      model_loaded_ = true;
      error_.reset(TRITONBACKEND_ModelInstanceInitialize(&instance));
    }
  }
  ~Served() {
    if (instance.state != nullptr) TRITONBACKEND_ModelInstanceFinalize(&instance);
    if (model_loaded_) TRITONBACKEND_ModelFinalize(&model);
    error_.reset();
    std::filesystem::remove_all(folder_);
    EXPECT_EQ(fake_counts().errors, 0);
    EXPECT_EQ(fake_counts().messages, 0);
    EXPECT_EQ(fake_counts().responses, 0);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  std::string error() const { return error_ ? error_->message : ""; }

  void execute(std::vector<Request>& requests) {
    std::vector<Request*> pointers;
    for (Request& request : requests) pointers.push_back(&request);
    ASSERT_EQ(TRITONBACKEND_ModelInstanceExecute(&instance, pointers.data(), static_cast<uint32_t>(pointers.size())),
              nullptr);
    for (const Request& request : requests) {
      EXPECT_EQ(request.releases, 1);
      EXPECT_EQ(request.reports, 1);
      EXPECT_EQ(request.responses, request.refuse_response ? 0 : 1);
    }
  }

  Backend backend;
  Model model;
  ModelInstance instance;

 private:
  struct Delete {
    void operator()(Error* error) const { test::fake_triton()->TRITONSERVER_ErrorDelete(error); }
  };
  std::filesystem::path folder_;
  bool model_loaded_ = false;
  std::unique_ptr<Error, Delete> error_;
};

Request rows_of(int64_t rows, const std::vector<float>& values) {
  Request request;
  request.inputs.push_back({"x", ServerType::kFp32, {rows, static_cast<int64_t>(values.size()) / rows}, {}, {}});
  request.inputs[0].buffers.push_back(bytes_of(values));
  request.outputs = {"y"};
  return request;
}

std::vector<Request> list(const std::vector<Request*>& requests) {
  std::vector<Request> moved;
  for (Request* request : requests) moved.push_back(std::move(*request));
  return moved;
}

std::string failure_of(const Request& request) { return request.error ? request.error->message : ""; }

ModelWriter negative() {
  return ModelWriter()
      .node("Neg", {"x"}, {"y"})
      .input("x", kFloat, {{"rows", int64_t{2}}})
      .output("y", kFloat, {{"rows", int64_t{2}}});
}

class OnnxRuntimeInTriton : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("SUBTEN_ONNXRUNTIME_LIB") == nullptr) {
      GTEST_SKIP() << "SUBTEN_ONNXRUNTIME_LIB names no ONNX Runtime library";
    }
  }
};

TEST_F(OnnxRuntimeInTriton, answers_a_single_request) {
  Served served(negative());
  ASSERT_EQ(served.error(), "");
  std::vector<Request> requests(1);
  requests[0] = rows_of(2, {1, 2, 3, 4});
  served.execute(requests);
  EXPECT_EQ(failure_of(requests[0]), "");
  EXPECT_EQ(requests[0].floats("y"), (std::vector<float>{-1, -2, -3, -4}));
  EXPECT_EQ(requests[0].results.at("y").shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(served.instance.batches, (std::vector<uint64_t>{2}));
}

TEST_F(OnnxRuntimeInTriton, runs_the_requests_of_a_batch_once_wherever_their_data_lies) {
  Served served(negative());
  Request one = rows_of(1, {1, 2});
  Request pieces = rows_of(2, {3, 4, 5, 6});
  const std::string whole = pieces.inputs[0].buffers[0];
  pieces.inputs[0].buffers = {whole.substr(0, 5), "", whole.substr(5)};
  Request device = rows_of(1, {7, 8});
  device.inputs[0].memory = ServerMemory::kGpu;
  device.output_memory = ServerMemory::kGpu;
  std::vector<Request> requests = list({&one, &pieces, &device});
  const int copies = fake_counts().gpu_copies;
  served.execute(requests);
  EXPECT_EQ(requests[0].floats("y"), (std::vector<float>{-1, -2}));
  EXPECT_EQ(requests[1].floats("y"), (std::vector<float>{-3, -4, -5, -6}));
  EXPECT_EQ(requests[2].floats("y"), (std::vector<float>{-7, -8}));
  EXPECT_EQ(fake_counts().gpu_copies, copies + 2);
  EXPECT_EQ(served.instance.batches, (std::vector<uint64_t>{4}));
  EXPECT_EQ(served.instance.succeeded, 3U);
}

TEST_F(OnnxRuntimeInTriton, fails_bad_requests_and_not_the_others_of_their_batch) {
  Served served(negative());
  Request sound = rows_of(1, {1, 2});
  Request shape = rows_of(1, {1, 2, 3});
  Request bytes = rows_of(1, {1, 2});
  bytes.inputs[0].buffers[0].pop_back();
  Request type = rows_of(1, {1, 2});
  type.inputs[0].type = ServerType::kInt32;
  Request missing = rows_of(1, {1, 2});
  missing.inputs.clear();
  Request large = rows_of(9, std::vector<float>(18, 1));
  Request output = rows_of(1, {1, 2});
  output.outputs = {"z"};
  Request cancelled = rows_of(1, {1, 2});
  cancelled.cancelled = true;
  Request no_memory = rows_of(1, {1, 2});
  no_memory.refuse_memory = true;
  Request no_response = rows_of(1, {1, 2});
  no_response.refuse_response = true;
  Request last = rows_of(1, {5, 6});
  std::vector<Request> requests =
      list({&sound, &shape, &bytes, &type, &missing, &large, &output, &cancelled, &no_memory, &no_response, &last});
  served.execute(requests);
  EXPECT_EQ(requests[0].floats("y"), (std::vector<float>{-1, -2}));
  EXPECT_EQ(failure_of(requests[1]), "The input 'x' has the shape [1, 3]; the model takes [-1, 2].");
  EXPECT_EQ(failure_of(requests[2]), "The input 'x' has 7 bytes, but its shape [1, 2] needs 8.");
  EXPECT_EQ(failure_of(requests[3]), "The input 'x' has another datatype than the model's FP32.");
  EXPECT_EQ(failure_of(requests[4]), "The input 'x' is missing.");
  EXPECT_EQ(failure_of(requests[5]), "The request has 9 rows; the model takes at most 8 (max_batch_size).");
  EXPECT_EQ(failure_of(requests[6]), "The model has no output 'z'.");
  EXPECT_EQ(failure_of(requests[7]), "The request was cancelled before it ran.");
  ASSERT_TRUE(requests[7].error);
  EXPECT_EQ(requests[7].error->code, ErrorCode::kCancelled);
  EXPECT_EQ(requests[1].error->code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(failure_of(requests[8]), "Triton gives no memory for an output: no memory for the output");
  EXPECT_EQ(requests[10].floats("y"), (std::vector<float>{-5, -6}));
  EXPECT_EQ(served.instance.batches, (std::vector<uint64_t>{3}));
  EXPECT_EQ(served.instance.succeeded, 2U);
  EXPECT_EQ(served.instance.failed, 9U);
}

TEST_F(OnnxRuntimeInTriton, splits_what_does_not_fit_into_one_run) {
  Served served(ModelWriter()
                    .node("Neg", {"x"}, {"y"})
                    .input("x", kFloat, {{"rows", "columns"}})
                    .output("y", kFloat, {{"rows", "columns"}}),
                R"({"max_batch_size": 4})");
  ASSERT_EQ(served.error(), "");
  Request narrow = rows_of(2, {1, 2});
  Request wide = rows_of(1, {3, 4, 5});
  Request more = rows_of(3, {6, 7, 8});
  Request fits = rows_of(2, {9, 10});
  std::vector<Request> requests = list({&narrow, &wide, &more, &fits});
  served.execute(requests);
  EXPECT_EQ(served.instance.batches, (std::vector<uint64_t>{4, 1, 3}));
  EXPECT_EQ(requests[1].floats("y"), (std::vector<float>{-3, -4, -5}));
  EXPECT_EQ(requests[2].floats("y"), (std::vector<float>{-6, -7, -8}));
  EXPECT_EQ(requests[3].floats("y"), (std::vector<float>{-9, -10}));
}

TEST_F(OnnxRuntimeInTriton, fails_malformed_strings_alone) {
  Served served(ModelWriter()
                    .node("Identity", {"x"}, {"y"})
                    .input("x", kString, {{"rows", int64_t{2}}})
                    .output("y", kString, {{"rows", int64_t{2}}}));
  ASSERT_EQ(served.error(), "");
  const auto words = [](const std::string& bytes) {
    Request request;
    request.inputs.push_back({"x", ServerType::kBytes, {1, 2}, {bytes}, {}});
    request.outputs = {"y"};
    return request;
  };
  const std::string good = wire({"a", std::string(1000, 'b')});
  Request sound = words(good);
  Request cut = words(good.substr(0, 20));
  Request empty = words("");
  Request pieces = words("");
  pieces.inputs[0].buffers = {good.substr(0, 3), good.substr(3)};
  std::vector<Request> requests = list({&sound, &cut, &empty, &pieces});
  served.execute(requests);
  EXPECT_EQ(requests[0].text("y"), good);
  EXPECT_NE(failure_of(requests[1]).find("The input 'x' is malformed"), std::string::npos) << failure_of(requests[1]);
  EXPECT_NE(failure_of(requests[2]).find("too few for the 2 elements"), std::string::npos) << failure_of(requests[2]);
  EXPECT_EQ(requests[3].text("y"), good);
}

TEST_F(OnnxRuntimeInTriton, runs_alone_what_a_run_of_several_fails_on) {
  Served served(ModelWriter()
                    .constant("table", kFloat, {3}, bytes_of(std::vector<float>{10, 20, 30}))
                    .node("Gather", {"table", "x"}, {"y"})
                    .input("x", kInt64, {{"rows", int64_t{1}}})
                    .output("y", kFloat, {{"rows", int64_t{1}}}));
  ASSERT_EQ(served.error(), "");
  std::vector<Request> requests;
  for (int64_t index : {2, 7, 0}) {
    Request& request = requests.emplace_back();
    request.inputs.push_back({"x", ServerType::kInt64, {1, 1}, {bytes_of(std::vector<int64_t>{index})}, {}});
    request.outputs = {"y"};
  }
  served.execute(requests);
  EXPECT_EQ(requests[0].floats("y"), (std::vector<float>{30}));
  EXPECT_NE(failure_of(requests[1]).find("failed to run the model"), std::string::npos);
  EXPECT_EQ(requests[2].floats("y"), (std::vector<float>{10}));
}

TEST_F(OnnxRuntimeInTriton, begins_a_response_anew_where_the_shape_was_not_the_declared_one) {
  Served served(ModelWriter()
                    .node("Reshape", {"x", "shape"}, {"y"})
                    .node("Neg", {"x"}, {"z"})
                    .input("x", kFloat, {{"rows", "columns"}})
                    .input("shape", kInt64, {{int64_t{2}}})
                    .output("z", kFloat, {{"rows", "columns"}})
                    .output("y", kFloat, {{"rows", "columns"}}),
                "{}");
  ASSERT_EQ(served.error(), "");
  for (int time = 0; time < 2; ++time) {
    std::vector<Request> requests(1);
    requests[0] = rows_of(1, {1, 2, 3});
    requests[0].inputs.push_back({"shape", ServerType::kInt64, {2}, {bytes_of(std::vector<int64_t>{3, 1})}, {}});
    requests[0].outputs = {"y", "z"};
    served.execute(requests);
    ASSERT_EQ(failure_of(requests[0]), "");
    EXPECT_EQ(requests[0].results.at("y").shape, (std::vector<int64_t>{3, 1}));
    EXPECT_EQ(requests[0].floats("y"), (std::vector<float>{1, 2, 3}));
    EXPECT_EQ(requests[0].floats("z"), (std::vector<float>{-1, -2, -3}));
  }
}

TEST_F(OnnxRuntimeInTriton, fails_outputs_that_have_other_rows_than_the_batch) {
  Served served(ModelWriter()
                    .constant("shape", kInt64, {2}, bytes_of(std::vector<int64_t>{-1, 1}))
                    .node("Reshape", {"x", "shape"}, {"y"})
                    .input("x", kFloat, {{"rows", "columns"}})
                    .output("y", kFloat, {{"", ""}}));
  ASSERT_EQ(served.error(), "");
  std::vector<Request> requests(1);
  requests[0] = rows_of(1, {1, 2, 3});
  served.execute(requests);
  EXPECT_NE(failure_of(requests[0]).find("has 3 rows for a batch of 1"), std::string::npos) << failure_of(requests[0]);
}

TEST_F(OnnxRuntimeInTriton, gives_each_request_the_outputs_that_it_asks_for) {
  Served served(ModelWriter()
                    .node("Neg", {"x"}, {"y"})
                    .node("Abs", {"x"}, {"z"})
                    .input("x", kFloat, {{"rows", int64_t{2}}})
                    .output("y", kFloat, {{"rows", int64_t{2}}})
                    .output("z", kFloat, {{"rows", int64_t{2}}}));
  ASSERT_EQ(served.error(), "");
  for (const size_t count : {1, 2, 3}) {
    std::vector<Request> requests;
    for (size_t index = 0; index < count; ++index) requests.push_back(rows_of(1, {1, -2}));
    requests[0].outputs = {"z"};
    if (count > 2) requests[1].outputs = {"y", "z"};
    served.execute(requests);
    EXPECT_EQ(requests[0].results.size(), 1U);
    EXPECT_EQ(requests[0].floats("z"), (std::vector<float>{1, 2}));
    if (count == 1) continue;
    EXPECT_EQ(requests[1].results.size(), count - 1);
    EXPECT_EQ(requests[1].floats("y"), (std::vector<float>{-1, 2}));
  }
}

TEST_F(OnnxRuntimeInTriton, does_not_load_what_onnx_runtime_refuses) {
  Served served(ModelWriter()
                    .node("NoSuchOperator", {"x"}, {"y"})
                    .input("x", kFloat, {{"rows", int64_t{2}}})
                    .output("y", kFloat, {{"rows", int64_t{2}}}));
  EXPECT_NE(served.error().find("ONNX Runtime cannot load the model file"), std::string::npos) << served.error();
}

TEST_F(OnnxRuntimeInTriton, completes_a_configuration) {
  Served served(negative(), R"({"name": "test", "backend": "subten_onnxruntime"})");
  ASSERT_EQ(served.error(), "");
  Json json;
  ASSERT_TRUE(parse_json(served.model.config, &json));
  EXPECT_EQ(json.integer_of("max_batch_size"), 4);
  EXPECT_NE(json.find("dynamic_batching"), nullptr);
  EXPECT_EQ(write_json(*json.find("input")), R"([{"name":"x","data_type":"TYPE_FP32","dims":[2]}])");
  EXPECT_EQ(write_json(*json.find("output")), R"([{"name":"y","data_type":"TYPE_FP32","dims":[2]}])");
}

TEST_F(OnnxRuntimeInTriton, leaves_the_batch_dimension_where_the_configuration_writes_it) {
  const std::string config =
      R"({"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["-1", "2"]}],
          "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1, 2]}]})";
  Served served(negative(), config);
  ASSERT_EQ(served.error(), "");
  EXPECT_EQ(served.model.config, config);
  std::vector<Request> requests;
  requests.push_back(rows_of(3, {1, 2, 3, 4, 5, 6}));
  requests.push_back(rows_of(1, {1, 2}));
  served.execute(requests);
  EXPECT_EQ(requests[0].floats("y").size(), 6U);
  EXPECT_EQ(requests[1].floats("y").size(), 2U);
  EXPECT_EQ(served.instance.batches, (std::vector<uint64_t>{1, 1}));
}

TEST_F(OnnxRuntimeInTriton, says_what_a_gpu_needs) {
  setenv("SUBTEN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);  // also where there is one
  Served served(negative(), R"({"max_batch_size": 8})", InstanceKind::kGpu);
  EXPECT_NE(served.error().find("This machine has no CUDA driver"), std::string::npos) << served.error();
  EXPECT_NE(served.error().find("KIND_CPU computes on the CPU"), std::string::npos) << served.error();
}

TEST_F(OnnxRuntimeInTriton, completes_nothing_where_the_server_does_not_want_it) {
  Served served(negative(), "{}");  // completes
  EXPECT_EQ(served.error(), "");
  Backend backend;
  Model model;
  model.backend = &backend;
  model.folder = served.model.folder;
  model.config = R"({"max_batch_size": 8, "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [2]}]})";
  model.complete = false;
  Error* error = TRITONBACKEND_ModelInitialize(&model);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->message,
            "The input 'x' of the model is missing in the configuration: add { name: \"x\" data_type: TYPE_FP32 dims: "
            "[ 2 ] } to `input`.");
  test::fake_triton()->TRITONSERVER_ErrorDelete(error);
}

TEST_F(OnnxRuntimeInTriton, gives_everything_back_whatever_the_requests_are) {
  Served served(negative());
  std::mt19937 random(5);
  RecordProperty("seed", 5);
  const auto pick = [&](int count) { return std::uniform_int_distribution<int>(0, count - 1)(random); };
  for (int round = 0; round < 300; ++round) {
    std::vector<Request> requests;
    std::vector<std::vector<float>> expected;
    for (int count = 1 + pick(6); count > 0; --count) {
      std::vector<float> values(static_cast<size_t>(2 * (1 + pick(4))));
      for (float& value : values) value = static_cast<float>(pick(1000));
      Request& request = requests.emplace_back(rows_of(static_cast<int64_t>(values.size() / 2), values));
      Input& input = request.inputs[0];
      request.cancelled = pick(10) == 0;
      request.refuse_memory = pick(10) == 0;
      request.refuse_response = pick(20) == 0;
      if (pick(10) == 0) request.output_memory = ServerMemory::kGpu;
      if (pick(10) == 0) input.memory = ServerMemory::kGpu;
      if (pick(10) == 0) input.shape[1] = 3;
      if (pick(5) == 0) {
        const std::string whole = input.buffers[0];
        const auto cut = static_cast<size_t>(pick(static_cast<int>(whole.size())));
        input.buffers = {whole.substr(0, cut), whole.substr(cut)};
      }
      const bool sound =
          !request.cancelled && !request.refuse_memory && !request.refuse_response && input.shape[1] == 2;
      for (float& value : values) value = -value;
      expected.push_back(sound ? values : std::vector<float>{});
    }
    served.execute(requests);
    for (size_t index = 0; index < requests.size(); ++index) {
      if (expected[index].empty()) {
        EXPECT_TRUE(requests[index].error || requests[index].refuse_response);
      } else {
        ASSERT_EQ(failure_of(requests[index]), "");
        EXPECT_EQ(requests[index].floats("y"), expected[index]);
      }
    }
  }
}

TEST(TritonJson, reads_what_it_writes) {
  const std::string text = R"({"a":[1,-2.5e3,"x\n\"\u00fc\ud83d\ude42",true,null],"b":{"c":"9007199254740993"}})";
  Json json;
  ASSERT_TRUE(parse_json(text, &json));
  EXPECT_EQ(json.find("a")->items[2].text, "x\n\"ü🙂");
  EXPECT_EQ(json.find("b")->integer_of("c"), 9007199254740993);
  const std::string written = write_json(json);
  Json again;
  ASSERT_TRUE(parse_json(written, &again));
  EXPECT_EQ(write_json(again), written);
}

TEST(TritonJson, refuses_what_is_no_json) {
  for (const char* text : {"", "{", "[1,", "{\"a\"}", "\"", "\"\\u12\"", "\"\\ud800x\"", "tru", "1 2", "[1]]"}) {
    Json json;
    EXPECT_FALSE(parse_json(text, &json)) << text;
  }
  Json json;
  EXPECT_FALSE(parse_json(std::string(10'000, '['), &json));
}

}  // namespace
}  // namespace subten::triton_backend
