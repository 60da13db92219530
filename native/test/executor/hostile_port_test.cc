// What an environment hands over, or writes into the memory that it shares, is never believed.

#include <cstring>
#include <limits>

#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

using EngineModelPointer = std::unique_ptr<EngineModel>;

// FP32 tensors of the null engine, one a shape.
EngineModelPointer null_model(const std::vector<Shape>& shapes, int32_t max_batch_size,
                              std::vector<std::pair<std::string, std::string>> parameters = {}) {
  EngineOptions options;
  options.max_batch_size = max_batch_size;
  options.parameters = std::move(parameters);
  for (size_t i = 0; i < shapes.size(); ++i) {
    options.config_inputs.push_back({"in" + std::to_string(i), DataType::kFp32, shapes[i]});
    options.config_outputs.push_back({"out" + std::to_string(i), DataType::kFp32, shapes[i]});
  }
  EngineModelPointer model;
  EXPECT_TRUE(find_engine("null")->open(options, &model).is_ok());
  return model;
}

TEST(HostilePort, a_request_that_never_fits_beside_the_home_rows_is_out_of_memory) {
  CoreOptions options = batching();
  options.memory_bytes = 1 << 20;
  Fixture fixture(null_model({{-1, 64}}, 8), std::move(options));
  ModelCore& core = *fixture.core;
  ASSERT_GT(core.home_slots(), 0u);
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  uint64_t offset = 0;
  std::string message;
  const auto allocate = [&](uint64_t bytes) {
    message.clear();
    return client.port->allocate(submission.slot, submission.generation, 0, bytes, &offset, &message);
  };
  // Less than the slab, more than what the home rows leave of it.
  EXPECT_EQ(allocate(core.room() + 1), Code::kOutOfMemory);
  EXPECT_NE(message.find("memoryMb: 2 or more"), std::string::npos) << message;
  EXPECT_EQ(allocate(core.slab().size() * 4), Code::kOutOfMemory);
  EXPECT_NE(message.find("memoryMb: 7 or more"), std::string::npos) << message;
  EXPECT_EQ(allocate(UINT64_MAX), Code::kOutOfMemory);
  // What fits an otherwise empty slab is only a matter of waiting.
  const uint64_t other = core.slab().allocate(64);
  uint64_t most = core.room();
  while (Slab::extent_bytes(most) > core.room()) most -= 64;
  EXPECT_EQ(allocate(most), Code::kQueueFull) << message;
  core.slab().release(other);
  EXPECT_EQ(allocate(most), Code::kOk) << message;
  client.port->abandon(submission.slot, submission.generation);
  client.close();
}

TEST(HostilePort, inputs_that_fit_one_by_one_but_never_together_are_out_of_memory) {
  CoreOptions options;
  options.memory_bytes = 1 << 20;
  Fixture fixture(null_model({{-1}, {-1}}, 0), std::move(options));
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  uint64_t offset = 0;
  std::string message;
  const auto allocate = [&](uint32_t input, uint64_t bytes) {
    return client.port->allocate(submission.slot, submission.generation, input, bytes, &offset, &message);
  };
  EXPECT_EQ(allocate(0, 512 << 10), Code::kOk);
  EXPECT_EQ(allocate(1, 640 << 10), Code::kOutOfMemory);
  EXPECT_EQ(allocate(0, 256 << 10), Code::kOk);  // its larger extent stays
  EXPECT_EQ(allocate(1, 512 << 10), Code::kOk) << message;
  client.port->abandon(submission.slot, submission.generation);
  EXPECT_EQ(fixture.core->slab().used(), 0u);
  client.close();
}

TEST(HostilePort, a_slot_released_before_its_completion_was_read_is_not_taken_again_until_then) {
  Fixture fixture(batching());
  Client client(fixture.core);
  Submission submission;
  std::string message;
  ASSERT_TRUE(client.lease(&submission));
  for (int round = 0; round < 200; ++round) {
    ASSERT_EQ(client.port->submit(submission, &message), Code::kOk);
    while (RequestWord::pending(fixture.core->descriptor(submission.slot).state.load())) std::this_thread::yield();
    const uint32_t next = client.port->release(submission.slot, submission.generation);
    ASSERT_EQ(next, submission.generation + 1);
    submission.generation = next;
    ASSERT_EQ(client.port->submit(submission, &message), Code::kSlotReleased);
    while (client.port->take(64) != 1) std::this_thread::yield();
    ASSERT_EQ(client.port->take(0), 0u);
  }
  EXPECT_EQ(client.port->in_flight(), 0u);
  client.close();
}

TEST(HostilePort, a_claimed_slot_released_before_its_completion_is_read_gives_its_memory_back_and_counts_as_it_ended) {
  Fixture fixture(batching());
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  submission.staged = true;
  submission.is_explicit = true;
  const uint64_t used = fixture.core->slab().used();
  std::string message;
  uint64_t offset = 0;
  ASSERT_EQ(client.port->allocate(submission.slot, submission.generation, 0, 256, &offset, &message), Code::kOk);
  *client.port->staging() = {1, 256, 2, {1, 64}};
  ASSERT_EQ(client.port->submit(submission, &message), Code::kOk) << message;
  while (RequestWord::pending(fixture.core->descriptor(submission.slot).state.load())) std::this_thread::yield();
  EXPECT_EQ(client.port->release(submission.slot, submission.generation), submission.generation + 1);
  client.port->abandon(submission.slot, submission.generation + 1);
  while (client.port->take(64) != 1) std::this_thread::yield();
  ASSERT_EQ(client.port->take(0), 0u);
  EXPECT_EQ(fixture.core->slab().used(), used);
  EXPECT_EQ(client.port->counts.succeeded, 1u);
  EXPECT_EQ(client.port->counts.failed, 0u);
  client.close();
}

TEST(HostilePort, garbage_in_the_shared_memory_harms_nobody) {
  CoreOptions options = batching();
  options.poison = true;
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 8; ++i) ASSERT_EQ(client.submit(static_cast<float>(i), {}), Code::kOk);
    uint32_t count = 0;
    for (uint32_t seen = 0; seen < 8; seen += count) {
      count = client.port->take(64);
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t slot = client.port->taken()[i];
        client.free.emplace_back(slot, fixture.core->descriptor(slot).generation + 1);  // headers are garbage
      }
      // Everything that JS has a view on: the numbers of the records, the records, the staging area.
      std::memset(client.port->shown(), 0xff, Port::kTakeLimit * sizeof(uint32_t));
      if (seen + count == 8) {  // no native thread writes there now
        std::memset(client.port->records(), round % 2 == 0 ? 0xff : 0x7f, client.port->records_bytes());
      }
      std::memset(client.port->staging(), 0xff, sizeof(StagedInput));
    }
    ASSERT_EQ(client.port->take(0), 0u);
  }
  EXPECT_EQ(client.port->in_flight(), 0u);
  EXPECT_EQ(client.port->counts.succeeded, 160u);
  client.close();
}

TEST(HostilePort, records_of_requests_that_run_are_not_shown) {
  Gate gate;
  Fixture fixture(gate.model(), batching());
  Client client(fixture.core);
  uint32_t slot = 0;
  ASSERT_EQ(client.submit(1, {}, &slot), Code::kOk);
  gate.wait_until_running();
  for (const uint32_t record : {slot, slot + 1, fixture.core->slots() + 7, UINT32_MAX}) {
    EXPECT_EQ(client.port->output(record, 0), nullptr);
    EXPECT_STREQ(client.port->error_message(record), "");
  }
  EXPECT_EQ(client.port->output(client.port->sync_record(), 1), nullptr);
  gate.open = true;
  while (client.port->take(1) != 1) std::this_thread::yield();
  EXPECT_NE(client.port->output(slot, 0), nullptr);
  EXPECT_EQ(client.port->output(slot, 1), nullptr);
  client.port->take(0);
  EXPECT_EQ(client.port->output(slot, 0), nullptr);
  client.close();
}

TEST(HostilePort, its_memory_outlives_it_for_views_that_are_still_held) {
  Fixture fixture(batching());
  std::shared_ptr<PortMemory> held;
  {
    Client client(fixture.core);
    held = client.port->memory();
    client.close();
  }
  fixture.core.reset();
  ASSERT_TRUE(fixture.ended());
  std::memset(held->records.data(), 1, held->records.size());
  held->shown[0] = 1;
  held->staging[0].present = 1;
}

TEST(HostilePort, settings_that_make_no_sense_are_refused_or_bounded) {
  const auto code = [](CoreOptions options) {
    std::shared_ptr<ModelCore> core;
    const Code created = ModelCore::create(null_model({{-1, 64}}, 8), std::move(options), &core).code;
    EXPECT_EQ(core != nullptr, created == Code::kOk);
    return created;
  };
  CoreOptions options = batching();
  options.instances = 0;
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options.instances = UINT32_MAX;
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options = batching();
  options.batch.default_level = 0;
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options.batch.default_level = 2;
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options = batching();
  options.batch.levels.clear();
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options.batch.levels.resize(1 << 16);
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options = batching();
  options.memory_bytes = UINT64_MAX;
  EXPECT_EQ(code(options), Code::kConfigInvalid);
  options = batching();
  options.max_queue_size = options.batch.levels[0].max_queue_size = UINT32_MAX;
  EXPECT_EQ(code(options), Code::kOk);
  // A batch has no more requests than there are slots: no memory for two thousand million of them.
  options = batching();
  options.batch.max_batch_size = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(code(options), Code::kOk);
}

TEST(HostilePort, times_at_the_end_of_the_scale_do_not_overflow) {
  CoreOptions options = batching();
  options.batch.max_queue_delay_ns = INT64_MAX;
  options.batch.levels[0].timeout_ns = INT64_MAX;
  options.batch.levels[0].allow_timeout_override = true;
  options.batch.preferred = {4, 1000, 2, 0};
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  Submission submission;
  submission.deadline_in_ns = INT64_MAX - 1;
  submission.timeout_in_ns = INT64_MAX;
  ASSERT_EQ(client.submit(1, submission), Code::kOk);
  submission.deadline_in_ns = INT64_MIN;
  submission.timeout_in_ns = 0;
  ASSERT_EQ(client.submit(2, submission), Code::kOk);
  for (const auto& result : client.drain(2000ms, 2)) {
    if (result.kind == CompletionKind::kError) {
      EXPECT_EQ(result.status, Code::kDeadlineExceeded);
    } else {
      EXPECT_EQ(result.value, 1);
    }
  }
  client.close();
}

}  // namespace
}  // namespace subten
