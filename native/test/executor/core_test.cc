// The whole core over the null engine, without N-API: ports, batches, deadlines, cancels, closes.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

#include "executor/process_state.h"
#include "metrics/clock.h"
#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

TEST(Core, a_request_ends_with_its_own_bytes_and_wakes_its_environment) {
  Fixture fixture(batching());
  Client client(fixture.core);
  client.port->take(1);  // arms
  ASSERT_EQ(client.submit(42, {}), Code::kOk);
  while (client.woken == 0) std::this_thread::yield();  // who drains before gets no wake
  const auto results = client.drain();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].kind, CompletionKind::kFinal);
  EXPECT_EQ(results[0].value, 42);
  client.port->close();
  client.port.reset();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, an_environment_that_polls_is_not_woken_and_sleeps_again_when_nothing_is_under_way) {
  if (process_state().cpus.used < 2) GTEST_SKIP() << "nobody polls on one processor";
  CoreOptions options = batching();
  options.wake = WakeMode::kAuto;
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  EXPECT_EQ(client.port->look(), Port::Look::kSleep);
  // A closed loop, until the port finds out that it is one: the processors must differ, which the system decides.
  const auto until = std::chrono::steady_clock::now() + 3s;
  uint64_t polled = 0;
  for (int i = 0; polled < 100 && std::chrono::steady_clock::now() < until; ++i) {
    ASSERT_EQ(client.submit(static_cast<float>(i), {}), Code::kOk);
    const bool polling = client.port->polling();
    const uint64_t woken = client.woken.load();
    if (!polling) {
      ASSERT_EQ(client.drain().at(0).value, static_cast<float>(i));
      continue;
    }
    Port::Look look;
    while ((look = client.port->look()) == Port::Look::kNothing) {
    }
    if (look == Port::Look::kTake && client.port->polling()) {
      EXPECT_EQ(client.woken.load(), woken);
      ++polled;
    }
    ASSERT_EQ(client.drain().at(0).value, static_cast<float>(i));
  }
  if (polled == 0) GTEST_SKIP() << "the system kept both threads on one processor";
  while (client.port->look() != Port::Look::kSleep) {
  }
  EXPECT_FALSE(client.port->polling());
  const uint64_t woken = client.woken.load();
  client.port->take(1);
  std::this_thread::sleep_for(50ms);  // a pause: no closed loop any more, after a few
  for (int i = 0; i < 64 && client.woken.load() == woken; ++i) {
    std::this_thread::sleep_for(1ms);
    ASSERT_EQ(client.submit(7, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  EXPECT_GT(client.woken.load(), woken);
}

struct StressCase {
  const char* name;
  uint32_t instances;
  bool ordered;
  bool async;
  int64_t delay_ns;
};
class Stress : public testing::TestWithParam<StressCase> {};

TEST_P(Stress, every_request_ends_exactly_once_with_its_own_result) {
  CoreOptions options = batching(16);
  options.instances = GetParam().instances;
  options.batch.preserve_ordering = GetParam().ordered;
  options.batch.max_queue_delay_ns = GetParam().delay_ns;
  options.batch.levels.resize(2, options.batch.levels[0]);
  Fixture fixture(std::move(options), {{"completion", GetParam().async ? "async" : "sync"}});
  std::atomic<uint64_t> ended{0}, submitted{0}, cancelled{0};
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread + 1);
      Client client(fixture.core);
      std::vector<float> expected(fixture.core->slots(), -1);
      std::vector<uint32_t> generation(fixture.core->slots(), 0);
      uint64_t mine = 0, over = 0, gone = 0;
      const auto settle = [&](const std::vector<Client::Result>& results) {
        for (const auto& result : results) {
          ASSERT_EQ(generation[result.slot], result.generation);
          ASSERT_GE(expected[result.slot], 0) << "ended twice";
          if (result.kind == CompletionKind::kFinal) {
            ASSERT_EQ(result.value, expected[result.slot]);
          }
          expected[result.slot] = -1;
          ++over;
        }
      };
      for (int i = 0; i < 10'000; ++i) {
        Submission submission;
        submission.priority = random() % 3;
        if (random() % 8 == 0) submission.deadline_in_ns = static_cast<int64_t>(random() % 200'000);
        const auto value = static_cast<float>(random() % 100'000);
        uint32_t slot = 0;
        ASSERT_TRUE(client.lease(&submission));
        slot = submission.slot;
        client.free.emplace_back(submission.slot, submission.generation);
        expected[slot] = value;
        generation[slot] = submission.generation;
        if (client.submit(value, submission) != Code::kOk) {
          expected[slot] = -1;
          settle(client.drain(100ms));
          continue;
        }
        ++mine;
        if (random() % 5 == 0 && client.port->cancel(slot, generation[slot])) {
          expected[slot] = -1;
          ++gone;
        }
        if (i % 7 == 0) settle(client.drain(0ms));
      }
      while (over + gone < mine) {
        const auto results = client.drain(5000ms);
        ASSERT_FALSE(results.empty()) << mine - over - gone << " requests are lost";
        settle(results);
      }
      submitted += mine;
      ended += over;
      cancelled += gone;
      client.port->close();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ended + cancelled, submitted);
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

INSTANTIATE_TEST_SUITE_P(All, Stress,
                         testing::Values(StressCase{"one", 1, false, false, 0}, StressCase{"three", 3, false, false, 0},
                                         StressCase{"ordered", 3, true, false, 0},
                                         StressCase{"async", 3, false, true, 0},
                                         StressCase{"async_ordered", 2, true, true, 0},
                                         StressCase{"delay", 2, false, false, 50'000},
                                         StressCase{"async_delay", 2, false, true, 50'000}),
                         [](const auto& info) { return info.param.name; });

TEST(Core, a_full_queue_refuses_at_once_and_a_late_one_expires_while_the_instance_is_busy) {
  CoreOptions options = batching();
  options.batch.dynamic = false;
  options.batch.levels[0].max_queue_size = 2;
  Gate gate;
  Fixture fixture(gate.model(), std::move(options));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(1, {}), Code::kOk);
  gate.wait_until_running();
  Submission late;
  late.deadline_in_ns = 100'000'000;
  ASSERT_EQ(client.submit(2, late), Code::kOk);
  ASSERT_EQ(client.submit(3, {}), Code::kOk);
  EXPECT_EQ(client.submit(4, {}), Code::kQueueFull);
  const auto first = client.drain(5000ms);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].status, Code::kDeadlineExceeded);
  EXPECT_EQ(client.submit(5, {}), Code::kOk) << "the expired one made room";
  gate.open = true;
  EXPECT_EQ(client.drain(5000ms, 3).size(), 3u);
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, a_waiting_batch_goes_when_it_is_full_or_its_delay_is_over) {
  CoreOptions options = batching(4);
  options.batch.max_queue_delay_ns = 200'000'000;
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  for (int i = 0; i < 4; ++i) ASSERT_EQ(client.submit(static_cast<float>(i), {}), Code::kOk);
  auto results = client.drain(150ms, 4);
  ASSERT_EQ(results.size(), 4u);
  for (const auto& result : results) EXPECT_EQ(result.reason, BatchReason::kFull);
  ASSERT_EQ(client.submit(9, {}), Code::kOk);
  results = client.drain(1000ms);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].reason, BatchReason::kDelay);
  client.port->close();
}

TEST(Core, parts_of_a_decoupled_model_arrive_within_their_credit_and_stop_at_a_cancel) {
  CoreOptions options = batching();
  options.decoupled = true;
  Fixture fixture(std::move(options), {{"parts", "200"}});
  Client client(fixture.core);
  uint32_t slot = 0;
  ASSERT_EQ(client.submit(5, {}, &slot), Code::kOk);
  size_t parts = 0;
  bool last = false;
  while (!last) {
    const auto results = client.drain();
    ASSERT_FALSE(results.empty());
    for (const auto& result : results) {
      if (result.kind == CompletionKind::kPartial) {
        EXPECT_EQ(result.value, 5);
        ++parts;
      } else {
        last = true;
      }
    }
  }
  EXPECT_EQ(parts, 200u);
  const uint32_t generation = client.free.back().second;
  ASSERT_EQ(client.submit(6, {}, &slot), Code::kOk);
  std::this_thread::sleep_for(5ms);  // it waits for credit
  EXPECT_TRUE(client.port->cancel(slot, generation));
  client.port->close();
  client.port.reset();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, a_port_closed_with_requests_queued_and_running_takes_nothing_with_it) {
  Fixture fixture(batching(2), {{"busy_us", "20000"}});
  Client stays(fixture.core);
  {
    Client goes(fixture.core);
    for (int i = 0; i < 6; ++i) ASSERT_EQ(goes.submit(1, {}), Code::kOk);
    ASSERT_EQ(stays.submit(7, {}), Code::kOk);
    std::this_thread::sleep_for(2ms);
    goes.port->close();
    EXPECT_EQ(goes.submit(1, {}), Code::kModelClosed);
  }
  const auto results = stays.drain();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].value, 7);
  stays.port->close();
  stays.port.reset();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, what_js_hands_over_is_checked) {
  Fixture fixture(batching());
  Client client(fixture.core);
  Submission good;
  ASSERT_TRUE(client.lease(&good));
  std::string message;
  const auto refused = [&](Submission submission, Code code) {
    EXPECT_EQ(client.port->submit(submission, &message), code) << message;
  };
  Submission bad = good;
  bad.generation += 1;
  refused(bad, Code::kSlotReleased);
  bad = good;
  bad.slot = 4'000'000'000u;
  refused(bad, Code::kSlotReleased);
  bad = good;
  bad.slot = good.slot == 100 ? 101 : 100;  // not leased by this port
  refused(bad, Code::kSlotReleased);
  bad = good;
  bad.priority = 2;
  refused(bad, Code::kInvalidInput);
  bad = good;
  bad.rows = 9;
  bad.staged = true;
  refused(bad, Code::kBatchTooLarge);
  bad.rows = 1;
  StagedInput* staged = client.port->staging();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double dim : {-1.0, nan, 63.0, 0.5, 1e300}) {
    *staged = {1, 0, 2, {1, dim}};
    refused(bad, Code::kInvalidInput);
  }
  *staged = {1, 0, 2, {1, 64}};
  refused(bad, Code::kInvalidInput);  // no memory was allocated for it
  uint64_t offset = 0;
  ASSERT_EQ(client.port->allocate(good.slot, good.generation, 0, 16, &offset, &message), Code::kOk);
  refused(bad, Code::kInvalidInput);  // not enough
  ASSERT_EQ(client.port->allocate(good.slot, good.generation, 0, 256, &offset, &message), Code::kOk);
  EXPECT_EQ(client.port->submit(bad, &message), Code::kOk) << message;
  EXPECT_EQ(client.drain().size(), 1u);
  client.port->close();
}

TEST(Core, strings_that_are_not_whole_are_refused) {
  CoreOptions options = batching();
  Fixture fixture(std::move(options), {}, {-1, 2}, DataType::kBytes);
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  submission.staged = true;
  uint64_t offset = 0;
  std::string message;
  ASSERT_EQ(client.port->allocate(submission.slot, submission.generation, 0, 64, &offset, &message), Code::kOk);
  std::byte* data = fixture.core->slab().data() + offset;
  std::memset(data, 0, 64);
  data[0] = std::byte{200};  // a string longer than the tensor
  *client.port->staging() = {1, 10, 2, {1, 2}};
  EXPECT_EQ(client.port->submit(submission, &message), Code::kInvalidInput);
  data[0] = std::byte{2};
  EXPECT_EQ(client.port->submit(submission, &message), Code::kOk) << message;
  EXPECT_EQ(client.drain().size(), 1u);
  client.port->close();
}

TEST(Core, a_synchronous_run_passes_the_queue_by) {
  Fixture fixture(batching());
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  std::string message;
  ASSERT_EQ(client.port->run_sync(submission, &message), Code::kOk) << message;
  EXPECT_NE(client.port->output(client.port->sync_record(), 0), nullptr);
  client.port->release_sync();
  client.port->close();
}

}  // namespace
}  // namespace subten
