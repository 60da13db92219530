// The engine triton against the real library, with a backend of ours that echoes. Skipped, by name, where
// `npm run triton:install` has not been run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "engines/common/json.h"
#include "engines/triton/server.h"
#include "test/executor/null_core.h"

namespace subten {
namespace {

namespace fs = std::filesystem;

const fs::path library = fs::path(SUBTEN_SOURCE_DIR) / ".cache/triton/lib/libtritonserver.so";
const fs::path backends = fs::path(SUBTEN_SOURCE_DIR) / "build/Release/triton-backends";

// A model repository of its own for each test.
class Triton : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(library) || !fs::exists(backends / "subten_identity")) {
      GTEST_SKIP() << "there is no Triton in " << library << ", or no backend of ours in " << backends;
    }
    std::string pattern = (fs::temp_directory_path() / "subten-triton-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    repository_ = pattern;
    ASSERT_TRUE(find_engine("triton")->ensure_loaded(library.string()).is_ok());
  }
  void TearDown() override {
    if (!repository_.empty()) fs::remove_all(repository_);
    EXPECT_EQ(TritonServer::current(), nullptr) << "a server outlived its models";
  }

  // `more`: lines of config.pbtxt.
  void add(const std::string& name, const std::string& more, int rows = 8) {
    fs::create_directories(repository_ / name / "1");
    std::ofstream(repository_ / name / "config.pbtxt")
        << "backend: \"subten_identity\"\nmax_batch_size: " << rows
        << "\ninput [ { name: \"INPUT0\" data_type: TYPE_FP32 dims: [ 64 ] } ]\n"
           "output [ { name: \"OUTPUT0\" data_type: TYPE_FP32 dims: [ 64 ] } ]\n"
        << more;
  }
  EngineOptions options(const std::string& name) {
    EngineOptions options;
    options.settings = {{"repository", repository_.string()},
                        {"model", name},
                        {"backend_directory", backends.string()},
                        {"log_level", "none"}};
    return options;
  }
  std::unique_ptr<EngineModel> open(const std::string& name) {
    std::unique_ptr<EngineModel> model;
    const Status status = find_engine("triton")->open(options(name), &model);
    EXPECT_TRUE(status.is_ok()) << status.message;
    return model;
  }
  static void close(Fixture* fixture, Client* client) {
    client->close();
    fixture->core.reset();
    EXPECT_TRUE(fixture->ended());
  }
  fs::path repository_;
};

std::string parameter(const std::string& name, const std::string& value) {
  return "parameters { key: \"" + name + "\" value { string_value: \"" + value + "\" } }\n";
}

const std::string decoupled_policy = "model_transaction_policy { decoupled: true }\n";

CoreOptions alone(uint32_t instances) {
  CoreOptions options = batching();
  options.batch.dynamic = false;
  options.instances = instances;
  return options;
}

TEST_F(Triton, a_model_says_what_it_is) {
  add("echo", "");
  const auto model = open("echo");
  ASSERT_NE(model, nullptr);
  ASSERT_EQ(model->spec().inputs.size(), 1u);
  EXPECT_EQ(model->spec().inputs[0].name, "INPUT0");
  EXPECT_EQ(model->spec().inputs[0].shape, (Shape{-1, 64}));
  EXPECT_EQ(model->spec().outputs[0].type, DataType::kFp32);
  EXPECT_EQ(model->completion(), Completion::kAsync);
}

TEST_F(Triton, requests_get_their_own_rows_of_a_batch) {
  add("echo", "");
  Fixture fixture(open("echo"), batching());
  Client client(fixture.core);
  size_t ended = 0;
  std::map<uint32_t, float> sent;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 11; ++i) {
      uint32_t slot = 0;
      const auto value = static_cast<float>(round * 100 + i);
      ASSERT_EQ(client.submit(value, {}, &slot), Code::kOk);
      sent[slot] = value;
    }
    for (const auto& result : client.drain(5000ms, 11)) {
      ASSERT_EQ(result.kind, CompletionKind::kFinal) << result.message;
      EXPECT_EQ(result.value, sent[result.slot]);
      ++ended;
    }
  }
  EXPECT_EQ(ended, 2200u);
  EXPECT_LT(fixture.core->batch_counts.count, 2200u) << "nothing was batched";
  size_t traced = 0;
  fixture.core->engine_model().each_stage([&](std::string_view name, const Histogram& histogram) {
    std::vector<uint64_t> counts(Histogram::kCounters);
    uint64_t sum = 0, max = 0;
    histogram.add_to(counts.data(), &sum, &max);
    if (name == "tritonQueue") {
      for (const uint64_t count : counts) traced += count;
    }
  });
  EXPECT_GT(traced, 0u);
  close(&fixture, &client);
}

TEST_F(Triton, parts_of_a_decoupled_model_arrive_all_and_in_order_of_their_streams) {
  add("repeat", decoupled_policy + parameter("parts", "200"));
  CoreOptions settings = alone(16);
  settings.decoupled = true;
  Fixture fixture(open("repeat"), settings);
  Client client(fixture.core);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(client.submit(static_cast<float>(i), {}), Code::kOk);
  size_t parts = 0, finals = 0;
  while (finals < 5) {
    const auto results = client.drain(5000ms);
    ASSERT_FALSE(results.empty());
    for (const auto& result : results) {
      ASSERT_NE(result.kind, CompletionKind::kError) << result.message;
      (result.kind == CompletionKind::kPartial ? parts : finals) += 1;
    }
  }
  EXPECT_EQ(parts, 1000u);
  close(&fixture, &client);
}

TEST_F(Triton, a_paused_stream_waits_and_goes_on) {
  add("repeat", decoupled_policy + parameter("parts", "200"));
  CoreOptions settings = alone(4);
  settings.decoupled = true;
  Fixture fixture(open("repeat"), settings);
  Client client(fixture.core);
  Submission submission;
  uint32_t slot = 0;
  ASSERT_EQ(client.submit(1, submission, &slot), Code::kOk);
  const uint32_t generation = RequestWord::generation(fixture.core->descriptor(slot).state.load());
  client.port->pause(slot, generation, true);
  size_t parts = client.drain(50ms, 1000).size();
  const size_t more = client.drain(50ms, 1000).size();
  EXPECT_EQ(more, 0u) << "parts came while it was paused";
  client.port->pause(slot, generation, false);
  size_t finals = 0;
  while (finals == 0) {
    const auto results = client.drain(5000ms);
    ASSERT_FALSE(results.empty());
    for (const auto& result : results) (result.kind == CompletionKind::kPartial ? parts : finals) += 1;
  }
  EXPECT_EQ(parts, 200u);
  close(&fixture, &client);
}

TEST_F(Triton, a_cancel_reaches_the_backend) {
  add("slow", parameter("delay_us", "20000000"));
  Fixture fixture(open("slow"), batching());
  Client client(fixture.core);
  uint32_t slot = 0;
  ASSERT_EQ(client.submit(1, {}, &slot), Code::kOk);
  std::this_thread::sleep_for(20ms);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(client.port->cancel(slot, RequestWord::generation(fixture.core->descriptor(slot).state.load())));
  close(&fixture, &client);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST_F(Triton, an_error_of_the_backend_ends_the_requests_of_its_batch_alone) {
  add("broken", parameter("fail", "it does not feel like it"));
  Fixture fixture(open("broken"), batching());
  Client client(fixture.core);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.submit(1, {}), Code::kOk);
  for (const auto& result : client.drain(5000ms, 3)) {
    EXPECT_EQ(result.kind, CompletionKind::kError);
    EXPECT_NE(result.message.find("it does not feel like it"), std::string::npos) << result.message;
  }
  close(&fixture, &client);
}

TEST_F(Triton, random_cancels_lose_nothing) {
  add("echo", parameter("delay_us", "50"));
  Fixture fixture(open("echo"), batching());
  Client client(fixture.core);
  std::mt19937 random(7);
  size_t submitted = 0, ended = 0, cancelled = 0;
  std::deque<std::pair<uint32_t, uint32_t>> running;
  const auto count = [&](const std::vector<Client::Result>& results) {
    for (const auto& result : results) {
      ASSERT_EQ(result.kind, CompletionKind::kFinal) << result.message;
      ++ended;
    }
  };
  while (submitted < 10'000) {
    uint32_t slot = 0;
    if (client.submit(1, {}, &slot) != Code::kOk) {
      count(client.drain(1000ms));
      continue;
    }
    ++submitted;
    running.emplace_back(slot, RequestWord::generation(fixture.core->descriptor(slot).state.load()));
    if (random() % 3 == 0) {
      const auto [victim, generation] = running[random() % running.size()];
      if (client.port->cancel(victim, generation)) ++cancelled;
    }
    if (running.size() > 64) running.pop_front();
    if (submitted % 16 == 0) count(client.drain(0ms));
  }
  while (ended + cancelled < submitted) {
    const auto results = client.drain(5000ms);
    ASSERT_FALSE(results.empty()) << submitted << " submitted, " << ended << " ended, " << cancelled << " cancelled";
    count(results);
  }
  EXPECT_GT(cancelled, 100u);
  close(&fixture, &client);
}

TEST_F(Triton, one_server_for_all_models_and_none_after_the_last) {
  add("one", "");
  add("two", "");
  auto one = open("one");
  const auto server = TritonServer::current().get();
  auto two = open("two");
  EXPECT_EQ(TritonServer::current().get(), server);
  EngineOptions other = options("two");
  other.settings.emplace_back("rate_limiter", "execution_count");
  std::unique_ptr<EngineModel> refused;
  const Status status = find_engine("triton")->open(other, &refused);
  EXPECT_EQ(status.code, Code::kConfigInvalid);
  EXPECT_NE(status.message.find("rate_limiter"), std::string::npos) << status.message;
  one.reset();
  EXPECT_FALSE(TritonServer::current()->model_ready("one", -1));
  EXPECT_TRUE(TritonServer::current()->model_ready("two", -1));
  two.reset();
}

TEST_F(Triton, a_model_that_cannot_be_loaded_says_why) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP()
      << "Triton's threads are not instrumented: the text of an error that one of them wrote looks like a race";
#endif
  add("lost", "");
  std::ofstream(repository_ / "lost/config.pbtxt") << "backend: \"no_such_backend\"\nmax_batch_size: 0\n"
                                                      "input [ { name: \"a\" data_type: TYPE_FP32 dims: [ 1 ] } ]\n"
                                                      "output [ { name: \"b\" data_type: TYPE_FP32 dims: [ 1 ] } ]\n";
  std::unique_ptr<EngineModel> model;
  Status status = find_engine("triton")->open(options("lost"), &model);
  EXPECT_EQ(status.code, Code::kEngineNotFound) << status.message;
  EXPECT_NE(status.message.find("no_such_backend"), std::string::npos) << status.message;
  status = find_engine("triton")->open(options("nobody"), &model);
  EXPECT_EQ(status.code, Code::kModelNotFound) << status.message;
}

TEST_F(Triton, a_repository_that_is_none_and_options_that_are_none_are_refused) {
  EngineOptions wrong = options("x");
  wrong.settings[0].second = (repository_ / "nowhere").string();
  std::unique_ptr<EngineModel> model;
  Status status = find_engine("triton")->open(wrong, &model);
  EXPECT_FALSE(status.is_ok());
  EngineOptions level = options("x");
  level.settings.back() = {"log_level", "loud"};
  status = find_engine("triton")->open(level, &model);
  EXPECT_EQ(status.code, Code::kConfigInvalid) << status.message;
  EXPECT_NE(status.message.find("log_level"), std::string::npos);
}

}  // namespace
}  // namespace subten
