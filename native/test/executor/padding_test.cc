// Deterministic batches: what the engine sees, what requests get, and which models cannot have them.

#include "executor/padding.h"

#include <cstdlib>
#include <mutex>
#include <random>

#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

CoreOptions deterministic(uint32_t rows = 8) {
  CoreOptions options = batching(rows);
  options.deterministic = true;
  return options;
}

// Echoes, and keeps what it saw: the rows, the shape, and the first element of each row.
struct Recorder {
  std::mutex mutex;
  std::vector<uint32_t> rows;
  std::vector<Shape> shapes;
  std::vector<std::vector<float>> firsts;
  bool zero_tail = true;

  std::unique_ptr<EngineModel> model() {
    return std::make_unique<ScriptedModel>([this](const BatchView& batch, BatchCompletion* completion) {
      const BatchTensor& input = batch.inputs[0];
      const auto* data = static_cast<const float*>(input.data);
      uint32_t real = 0;
      for (const RequestView& request : batch.requests) real += request.rows;
      {
        std::lock_guard lock(mutex);
        rows.push_back(batch.rows);
        shapes.push_back(input.shape);
        std::vector<float> first;
        for (uint32_t row = 0; row < batch.rows; ++row) first.push_back(data[row * 64]);
        firsts.push_back(std::move(first));
        for (uint64_t i = uint64_t{real} * 64; i < input.bytes / 4; ++i) zero_tail = zero_tail && data[i] == 0;
      }
      std::memcpy(completion->allocate(0, input.shape, input.bytes), input.data, input.bytes);
      completion->done(Status::ok());
    });
  }
};

Status created(CoreOptions options, Shape shape, DataType type, bool ragged = false) {
  EngineOptions engine;
  engine.config_inputs = {{"input", type, shape, false, ragged}};
  engine.config_outputs = {{"output", type, shape}};
  engine.max_batch_size = static_cast<int32_t>(options.batch.max_batch_size);
  std::unique_ptr<EngineModel> model;
  EXPECT_TRUE(find_engine("null")->open(engine, &model).is_ok());
  std::shared_ptr<ModelCore> core;
  return ModelCore::create(std::move(model), std::move(options), &core);
}

TEST(Padding, the_engine_sees_full_batches_and_requests_get_their_own_rows_alone) {
  Recorder seen;
  Fixture fixture(seen.model(), deterministic());
  const uint64_t idle = fixture.core->slab().used();
  Client client(fixture.core);
  ASSERT_EQ(client.submit(3, {}), Code::kOk);
  uint32_t count = client.port->take(8);
  for (int i = 0; i < 5000 && count == 0; ++i) {
    std::this_thread::sleep_for(1ms);
    count = client.port->take(8);
  }
  ASSERT_EQ(count, 1u);
  const uint32_t record = client.port->taken()[0];
  const RecordHeader* header = client.port->header(record);
  EXPECT_EQ(header->batch_rows, 1u) << "padding is not counted";
  const OutputRef* output = client.port->output(record, 0);
  ASSERT_NE(output, nullptr);
  EXPECT_EQ(output->bytes, 256u);
  EXPECT_EQ(client.port->output_records(record)->shape[0], 1);
  EXPECT_EQ(client.port->output_records(record)->shape[1], 64);
  client.close();
  EXPECT_EQ(seen.rows, std::vector<uint32_t>{8});
  EXPECT_EQ(seen.shapes[0], (Shape{8, 64}));
  EXPECT_EQ(seen.firsts[0], (std::vector<float>{3, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(seen.zero_tail);
  EXPECT_EQ(fixture.core->batch_counts.rows, 1u);
  EXPECT_EQ(fixture.core->batch_counts.in_place, 0u);
  EXPECT_EQ(fixture.core->flight().batches.latest(), 1u);
  BatchEntry entry;
  ASSERT_TRUE(fixture.core->flight().batches.read(1, &entry));
  EXPECT_EQ(entry.rows, 1u);
  for (int i = 0; i < 2000 && fixture.core->slab().used() != idle; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(fixture.core->slab().used(), idle);
}

TEST(Padding, what_a_longer_batch_left_in_the_staging_memory_is_zero_again) {
  Recorder seen;
  CoreOptions options = deterministic(4);
  options.batch.max_queue_delay_ns = 100'000'000;  // so that those of a round share a batch
  Fixture fixture(seen.model(), std::move(options));
  Client client(fixture.core);
  for (const uint32_t round : {4u, 2u, 3u, 1u}) {
    std::vector<uint32_t> slots(round);
    std::vector<float> wanted(fixture.core->slots(), -1);
    for (uint32_t i = 0; i < round; ++i) {
      const auto value = static_cast<float>(10 * round + i);
      ASSERT_EQ(client.submit(value, {}, &slots[i]), Code::kOk);
      wanted[slots[i]] = value;
    }
    const auto results = client.drain(5000ms, round);
    ASSERT_EQ(results.size(), round);
    for (const auto& result : results) EXPECT_EQ(result.value, wanted[result.slot]);
  }
  client.close();
  EXPECT_TRUE(seen.zero_tail);
  for (const uint32_t rows : seen.rows) EXPECT_EQ(rows, 4u);
}

TEST(Padding, rows_of_any_shape_are_filled_up_with_rows_of_that_shape) {
  std::vector<Shape> shapes;
  std::mutex mutex;
  Fixture fixture(std::make_unique<ScriptedModel>(
                      [&](const BatchView& batch, BatchCompletion* completion) {
                        const BatchTensor& input = batch.inputs[0];
                        {
                          std::lock_guard lock(mutex);
                          shapes.push_back(input.shape);
                        }
                        std::memcpy(completion->allocate(0, input.shape, input.bytes), input.data, input.bytes);
                        completion->done(Status::ok());
                      },
                      Shape{-1, -1}),
                  deterministic(5));
  Client client(fixture.core);
  std::string message;
  for (const double width : {3.0, 7.0, 0.0}) {
    Submission submission;
    ASSERT_TRUE(client.lease(&submission));
    submission.staged = true;
    submission.rows = 2;
    uint64_t offset = 0;
    ASSERT_EQ(client.port->allocate(submission.slot, submission.generation, 0, 256, &offset, &message), Code::kOk);
    auto* data = reinterpret_cast<float*>(fixture.core->slab().data() + offset);
    std::fill(data, data + 64, static_cast<float>(width));
    *client.port->staging() = {1, 0, 2, {2, width}};
    ASSERT_EQ(client.port->submit(submission, &message), Code::kOk) << message;
    const auto results = client.drain();
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].status, Code::kOk) << results[0].message;
    EXPECT_EQ(shapes.back(), (Shape{5, static_cast<int64_t>(width)}));
    if (width > 0) {
      EXPECT_EQ(results[0].value, width);
    }
  }
  client.close();
}

TEST(Padding, a_full_batch_of_neighbours_is_used_where_it_lies) {
  Recorder seen;
  Fixture fixture(seen.model(), deterministic(1));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(3, {}), Code::kOk);
  ASSERT_EQ(client.drain().size(), 1u);
  client.close();
  EXPECT_EQ(seen.rows, std::vector<uint32_t>{1});
  EXPECT_EQ(fixture.core->batch_counts.in_place, 1u);
}

TEST(Padding, a_synchronous_run_is_filled_up_too) {
  Recorder seen;
  Fixture fixture(seen.model(), deterministic());
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  std::string message;
  ASSERT_EQ(client.port->run_sync(submission, &message), Code::kOk) << message;
  const OutputRef* output = client.port->output(client.port->sync_record(), 0);
  ASSERT_NE(output, nullptr);
  EXPECT_EQ(output->bytes, 256u);
  EXPECT_EQ(seen.rows, std::vector<uint32_t>{8});
  client.close();
}

TEST(Padding, an_engine_that_answers_with_the_real_rows_only_is_told_so) {
  Fixture fixture(std::make_unique<ScriptedModel>([](const BatchView&, BatchCompletion* completion) {
                    const int64_t shape[] = {1, 64};
                    EXPECT_NE(completion->allocate(0, shape, 256), nullptr);
                    completion->done(Status::ok());
                  }),
                  deterministic());
  Client client(fixture.core);
  ASSERT_EQ(client.submit(3, {}), Code::kOk);
  const auto results = client.drain();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].status, Code::kEngineFailed);
  EXPECT_NE(results[0].message.find("1 rows for a batch of 8"), std::string::npos) << results[0].message;
  client.close();
}

TEST(Padding, engines_that_complete_later_see_full_batches_and_every_request_gets_its_own) {
  CoreOptions options = deterministic();
  options.instances = 2;
  Fixture fixture(std::move(options), {{"completion", "async"}});
  Client client(fixture.core);
  std::vector<float> wanted(fixture.core->slots(), -1);
  for (int i = 0; i < 50; ++i) {
    uint32_t slot = 0;
    ASSERT_EQ(client.submit(static_cast<float>(i), {}, &slot), Code::kOk);
    wanted[slot] = static_cast<float>(i);
  }
  const auto results = client.drain(5000ms, 50);
  ASSERT_EQ(results.size(), 50u);
  for (const auto& result : results) EXPECT_EQ(result.value, wanted[result.slot]);
  EXPECT_EQ(fixture.core->batch_counts.rows, 50u);
  client.close();
}

TEST(Padding, models_that_cannot_be_filled_up_are_refused_with_a_way_out) {
  CoreOptions single = deterministic();
  single.batch.max_batch_size = 0;
  Status status = created(std::move(single), {64}, DataType::kFp32);
  EXPECT_EQ(status.code, Code::kConfigInvalid);
  EXPECT_NE(status.message.find("max_batch_size"), std::string::npos) << status.message;
  status = created(deterministic(), {-1, 2}, DataType::kBytes);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("leave it out"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("'input'"), std::string::npos) << status.message;
  EXPECT_EQ(created(deterministic(), {-1, -1}, DataType::kFp32, true).code, Code::kNotSupported);
  CoreOptions decoupled = deterministic();
  decoupled.decoupled = true;
  EXPECT_EQ(created(std::move(decoupled), {-1, 64}, DataType::kFp32).code, Code::kNotSupported);
  EXPECT_TRUE(created(deterministic(), {-1, 64}, DataType::kFp32).is_ok());
  EXPECT_EQ(created(deterministic(), {}, DataType::kFp32).code, Code::kConfigInvalid);
}

// One picture through ONNX Runtime, with so many others in its batch, at a place among them: the bits of its answer.
struct Picture {
  const char* model;
  TensorSpec input, output;
};
std::vector<std::string> answers_among_neighbours(const char* library, const Picture& picture, bool padded) {
  EngineOptions engine;
  engine.model_path = std::string(SUBTEN_SOURCE_DIR) + "/models/" + picture.model + "/1/model.onnx";
  engine.config_inputs = {picture.input};
  engine.config_outputs = {picture.output};
  engine.max_batch_size = 64;
  std::unique_ptr<EngineModel> model;
  Engine* onnxruntime = find_engine("onnxruntime");
  Status status = onnxruntime->ensure_loaded(library);
  EXPECT_TRUE(status.is_ok()) << status.message;
  status = onnxruntime->open(engine, &model);
  EXPECT_TRUE(status.is_ok()) << status.message;
  if (!status.is_ok()) return {};
  CoreOptions options = batching(64);
  options.deterministic = padded;
  options.batch.max_queue_delay_ns = 100'000'000;
  Fixture fixture(std::move(model), std::move(options));
  Client client(fixture.core);
  const auto fill = [&](uint32_t slot, uint32_t seed) {
    std::mt19937 random(seed);
    auto* row = reinterpret_cast<float*>(fixture.core->slab().data() + fixture.core->home_offset(0) +
                                         slot * fixture.core->row_bytes(0));
    for (int i = 0; i < 64; ++i) row[i] = static_cast<float>(random() % 1000) / 1000;
  };
  const auto bits = [&](uint32_t record) {
    const OutputRef* output = client.port->output(record, 0);
    if (output == nullptr) return std::string("none");
    return std::string(reinterpret_cast<const char*>(output->data), output->bytes);
  };
  std::vector<std::string> answers;
  std::string message;
  for (const auto& [count, place] : {std::pair{1u, 0u}, {4u, 0u}, {4u, 3u}, {64u, 0u}, {64u, 31u}, {64u, 63u}}) {
    uint32_t mine = 0;
    for (uint32_t i = 0; i < count; ++i) {
      Submission submission;
      EXPECT_TRUE(client.lease(&submission));
      if (i == place) mine = submission.slot;
      fill(submission.slot, i == place ? 7 : 1000 * count + i);
      EXPECT_EQ(client.port->submit(submission, &message), Code::kOk) << message;
    }
    uint32_t seen = 0;
    for (int tries = 0; seen < count && tries < 5000; ++tries) {
      const uint32_t taken = client.port->take(64);
      for (uint32_t i = 0; i < taken; ++i) {
        const uint32_t record = client.port->taken()[i];
        const RecordHeader* header = client.port->header(record);
        EXPECT_EQ(header->batch_rows, count) << "they did not share a batch: nothing was tested";
        if (header->slot == mine) answers.push_back(bits(record));
        client.free.emplace_back(header->slot, header->generation + 1);
      }
      seen += taken;
      if (taken == 0) std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(seen, count);
    client.port->take(64);  // the slots can be used again
  }
  Submission alone;
  EXPECT_TRUE(client.lease(&alone));
  fill(alone.slot, 7);
  EXPECT_EQ(client.port->run_sync(alone, &message), Code::kOk) << message;
  answers.push_back(bits(client.port->sync_record()));
  client.close();
  return answers;
}

TEST(Padding, a_picture_gets_the_same_bits_whoever_is_in_its_batch_over_onnx_runtime) {
  const char* library = std::getenv("SUBTEN_ONNXRUNTIME_LIB");
  if (library == nullptr) GTEST_SKIP() << "SUBTEN_ONNXRUNTIME_LIB names no ONNX Runtime library";
  const Picture pictures[] = {
      {"digits", {"image", DataType::kFp32, {-1, 1, 8, 8}}, {"probabilities", DataType::kFp32, {-1, 10}}},
      {"mlp", {"input", DataType::kFp32, {-1, 64}}, {"output", DataType::kFp32, {-1, 8}}}};
  for (const Picture& picture : pictures) {
    const std::vector<std::string> answers = answers_among_neighbours(library, picture, true);
    ASSERT_EQ(answers.size(), 7u);
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_EQ(answers[i].size(), 4u * static_cast<size_t>(picture.output.shape[1]));
      EXPECT_EQ(answers[i], answers[0]) << picture.model << ", answer " << i;
    }
    // Not promised either way, so not asked for: without padding the bits may differ.
    const std::vector<std::string> without = answers_among_neighbours(library, picture, false);
    size_t others = 0;
    for (const std::string& each : without) others += each != without[0] ? 1 : 0;
    RecordProperty(std::string("differ_without_padding_") + picture.model, static_cast<int>(others));
  }
}

TEST(Padding, the_size_of_the_padding_does_not_overflow) {
  uint64_t padded = 0;
  EXPECT_TRUE(padded_bytes(300, 3, 8, &padded));
  EXPECT_EQ(padded, 800u);
  EXPECT_FALSE(padded_bytes(uint64_t{1} << 60, 1, 1u << 20, &padded));
}

}  // namespace
}  // namespace subten
