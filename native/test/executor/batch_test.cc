// What an engine may do with a batch: every way to hand outputs back, to fail, and to get it wrong.

#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

struct Scripted : Fixture {
  explicit Scripted(Run run, CoreOptions options = batching())
      : Fixture(std::make_unique<ScriptedModel>(std::move(run)), std::move(options)), idle_bytes(core->slab().used()) {}
  // Runs one request; afterwards all memory is back.
  Client::Result one() {
    Client client(core);
    EXPECT_EQ(client.submit(3, {}), Code::kOk);
    const auto results = client.drain();
    client.close();
    EXPECT_EQ(results.size(), 1u);
    for (int i = 0; i < 2000 && core->slab().used() != idle_bytes; ++i) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(core->slab().used(), idle_bytes);
    return results.empty() ? Client::Result{} : results[0];
  }
  const uint64_t idle_bytes;
};

int64_t* row_shape() {
  static int64_t shape[] = {1, 64};
  return shape;
}
std::span<const int64_t> one_row() { return {row_shape(), 2}; }

std::atomic<int> released{0};
BufferHandle engine_buffer(float* data) {
  BufferHandle handle;
  handle.data = data;
  handle.bytes = 256;
  handle.kind = MemoryKind::kEngine;
  handle.context = data;
  handle.release = [](void* context) {
    ++released;
    delete[] static_cast<float*>(context);
  };
  return handle;
}
// The memory of an engine may go back after its request has ended and its slot is free.
int released_soon(int wanted) {
  for (int i = 0; i < 2000 && released < wanted; ++i) std::this_thread::sleep_for(1ms);
  return released;
}
float* floats(float value) {
  auto* data = new float[64];
  std::fill(data, data + 64, value);
  return data;
}

TEST(Batch, of_two_outputs_for_one_place_the_last_wins_and_the_first_is_freed) {
  released = 0;
  {
    Scripted fixture([](const BatchView&, BatchCompletion* completion) {
      static_cast<float*>(completion->allocate(0, one_row(), 256))[0] = 1;
      completion->adopt(0, one_row(), engine_buffer(floats(2)));
      completion->done(Status::ok());
    });
    EXPECT_EQ(fixture.one().value, 2);
    EXPECT_EQ(released_soon(1), 1);
  }
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    completion->adopt(0, one_row(), engine_buffer(floats(2)));
    std::fill_n(static_cast<float*>(completion->allocate(0, one_row(), 256)), 64, 4.0f);
    completion->done(Status::ok());
  });
  EXPECT_EQ(fixture.one().value, 4);
  EXPECT_EQ(released_soon(2), 2);
}

TEST(Batch, an_output_of_a_request_goes_before_that_of_the_batch) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    std::fill_n(static_cast<float*>(completion->allocate(0, one_row(), 256)), 64, 1.0f);
    std::fill_n(static_cast<float*>(completion->allocate_for(0, 0, one_row(), 256)), 64, 9.0f);
    completion->done(Status::ok());
  });
  EXPECT_EQ(fixture.one().value, 9);
}

TEST(Batch, a_failure_without_a_sentence_gets_one) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) { completion->done({Code::kOutOfMemory, ""}); });
  const auto result = fixture.one();
  EXPECT_EQ(result.status, Code::kOutOfMemory);
  EXPECT_NE(result.message, "");
}

TEST(Batch, a_failed_request_keeps_its_own_message) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    completion->fail(0, Status::error(Code::kNotSupported, "a sentence that is longer than fifteen characters"));
    completion->done(Status::ok());
  });
  const auto result = fixture.one();
  EXPECT_EQ(result.status, Code::kNotSupported);
  EXPECT_EQ(result.message, "a sentence that is longer than fifteen characters");
}

TEST(Batch, an_output_with_the_wrong_number_of_rows_fails_the_batch) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    const int64_t shape[] = {2, 64};
    completion->allocate(0, shape, 512);
    completion->done(Status::ok());
  });
  const auto result = fixture.one();
  EXPECT_EQ(result.status, Code::kEngineFailed);
  EXPECT_NE(result.message.find("2 rows for a batch of 1"), std::string::npos) << result.message;
}

TEST(Batch, an_output_of_too_many_dimensions_is_released_and_fails) {
  released = 0;
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    const std::vector<int64_t> shape(9, 1);
    EXPECT_EQ(completion->allocate(0, shape, 4), nullptr);
    completion->adopt(0, shape, engine_buffer(floats(0)));
    completion->done(Status::ok());
  });
  EXPECT_EQ(fixture.one().status, Code::kNotSupported);
  EXPECT_EQ(released_soon(1), 1);
}

TEST(Batch, a_part_of_a_model_that_is_not_decoupled_is_an_error_and_not_a_hang) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    EXPECT_NE(completion->allocate_for(0, 0, one_row(), 256), nullptr);
    EXPECT_FALSE(completion->part(0));
    completion->done(Status::ok());
  });
  EXPECT_EQ(fixture.one().status, Code::kEngineFailed);
}

TEST(Batch, a_full_slab_gives_the_engine_no_memory_and_the_request_an_error) {
  Scripted fixture([](const BatchView&, BatchCompletion* completion) {
    const int64_t shape[] = {1, 1 << 20};
    EXPECT_EQ(completion->allocate(0, shape, 4 << 20), nullptr);
    completion->done(Status::quiet(Code::kQueueFull, "full"));
  });
  EXPECT_EQ(fixture.one().status, Code::kQueueFull);
}

TEST(Batch, a_run_whose_requests_are_all_cancelled_is_abandoned_and_its_outputs_are_freed) {
  std::atomic<bool> running{false};
  Scripted fixture([&](const BatchView&, BatchCompletion* completion) {
    EXPECT_NE(completion->allocate(0, one_row(), 256), nullptr);
    EXPECT_FALSE(completion->abandoned());
    running = true;
    while (!completion->abandoned()) std::this_thread::yield();
    completion->done(Status::error(Code::kEngineFailed, "given up, and nobody reads why it was given up"));
  });
  Client client(fixture.core);
  uint32_t slot = 0;
  ASSERT_EQ(client.submit(1, {}, &slot), Code::kOk);
  while (!running) std::this_thread::yield();
  EXPECT_TRUE(client.port->cancel(slot, 0));
  EXPECT_FALSE(client.port->cancel(slot, 0));
  EXPECT_EQ(client.port->in_flight(), 0u);
  client.close();
  for (int i = 0; i < 2000 && fixture.core->slab().used() != fixture.idle_bytes; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(fixture.core->slab().used(), fixture.idle_bytes);
}

TEST(Batch, what_a_synchronous_run_left_is_freed_by_the_next_one) {
  Scripted fixture([](const BatchView& batch, BatchCompletion* completion) {
    std::memcpy(completion->allocate(0, one_row(), 256), batch.inputs[0].data, 256);
    completion->done(Status::ok());
  });
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  std::string message;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(client.port->run_sync(submission, &message), Code::kOk) << message;
    EXPECT_EQ(fixture.core->slab().used(), fixture.idle_bytes + 256);
  }
  client.close();
  EXPECT_EQ(fixture.core->slab().used(), fixture.idle_bytes);
}

}  // namespace
}  // namespace subten
