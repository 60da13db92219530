// Scheduling by due times in the whole core: what is refused, in which order batches go, what is given up.

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "executor/synthetic_batch.h"
#include "metrics/clock.h"
#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

constexpr int64_t kMs = 1'000'000;

CoreOptions with_slo(int64_t target_ns, uint32_t rows = 8) {
  CoreOptions options = batching(rows);
  options.batch.slo.target_ns = target_ns;
  return options;
}

// What batches of 1 and 8 rows are said to take.
std::string table(int64_t one_ns, int64_t eight_ns) {
  const auto entry = [](uint32_t rows, int64_t ns) {
    return "0:" + std::to_string(rows) + ":" + std::to_string(ns) + ":" + std::to_string(ns) + ";";
  };
  return "subten-latency/1 " + entry(1, one_ns) + entry(8, eight_ns);
}

Submission within(int64_t deadline_ns) {
  Submission submission;
  submission.deadline_in_ns = deadline_ns;
  return submission;
}

TEST(Slo, a_request_that_would_be_late_is_refused_with_the_prediction) {
  CoreOptions options = with_slo(50 * kMs);
  options.latency_table = table(20 * kMs, 30 * kMs);
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  EXPECT_EQ(client.submit(1, within(5 * kMs)), Code::kSloUnreachable);
  EXPECT_EQ(client.port->predicted_ns(), 20 * kMs);
  EXPECT_EQ(fixture.core->slo()->admission().refused(), 1u);
  EXPECT_EQ(fixture.core->slo()->admission().waiting_rows(), 0u);
  // Nobody promised less than the target, so one without a deadline of its own has 50 ms.
  EXPECT_EQ(client.submit(2, {}), Code::kOk);
  EXPECT_EQ(client.drain().at(0).value, 2);
  client.close();
}

TEST(Slo, knows_nothing_and_refuses_nothing) {
  Fixture fixture(with_slo(1 * kMs));
  Client client(fixture.core);
  EXPECT_EQ(client.submit(1, {}), Code::kOk);
  EXPECT_EQ(client.drain().size(), 1u);
  client.close();
}

TEST(Slo, the_earliest_due_time_goes_first) {
  Gate gate;
  CoreOptions options = with_slo(10'000 * kMs, 1);
  Fixture fixture(gate.model(), std::move(options));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(0, {}), Code::kOk);
  gate.wait_until_running();
  for (const int ms : {5000, 3000, 9000, 4000}) {
    ASSERT_EQ(client.submit(static_cast<float>(ms), within(ms * kMs)), Code::kOk);
  }
  gate.open = true;
  const auto results = client.drain(2000ms, 5);
  ASSERT_EQ(results.size(), 5u);
  const float order[] = {0, 3000, 4000, 5000, 9000};
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(results[i].value, order[i]);
  client.close();
}

TEST(Slo, what_was_admitted_and_cannot_make_it_any_more_is_given_up_before_it_is_run) {
  Gate gate;
  CoreOptions options = with_slo(10'000 * kMs);
  options.latency_table = table(2 * kMs, 3 * kMs);
  Fixture fixture(gate.model(), std::move(options));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(0, {}), Code::kOk);
  gate.wait_until_running();
  // The running batch is believed to end soon; it does not, and this one's time runs out.
  ASSERT_EQ(client.submit(1, within(60 * kMs)), Code::kOk);
  ASSERT_EQ(client.submit(2, {}), Code::kOk);
  std::this_thread::sleep_for(80ms);
  gate.open = true;
  size_t expired = 0, good = 0;
  for (const auto& result : client.drain(2000ms, 3)) {
    if (result.status == Code::kDeadlineExceeded) {
      ++expired;
    } else {
      ++good;
      EXPECT_NE(result.value, 1);
    }
  }
  EXPECT_EQ(expired, 1u);
  EXPECT_EQ(good, 2u);
  EXPECT_EQ(fixture.core->slo()->admission().waiting_rows(), 0u);
  client.close();
}

TEST(Slo, a_late_request_without_a_deadline_of_its_own_is_answered_all_the_same) {
  Gate gate;
  Fixture fixture(gate.model(), with_slo(200 * kMs));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(0, {}), Code::kOk);
  gate.wait_until_running();
  ASSERT_EQ(client.submit(1, {}), Code::kOk);
  std::this_thread::sleep_for(300ms);
  gate.open = true;
  const auto results = client.drain(2000ms, 2);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[1].value, 1);
  client.close();
}

TEST(Slo, a_backlog_fills_the_prediction_and_is_taken_off_when_it_is_cancelled) {
  Gate gate;
  CoreOptions options = with_slo(1000 * kMs);
  options.latency_table = table(2 * kMs, 4 * kMs);
  Fixture fixture(gate.model(), std::move(options));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(0, {}), Code::kOk);
  gate.wait_until_running();
  std::vector<std::pair<uint32_t, uint32_t>> queued;
  Code code = Code::kOk;
  for (int i = 0; i < 200 && code == Code::kOk; ++i) {
    Submission submission = within(40 * kMs);
    uint32_t slot = 0;
    code = client.submit(1, submission, &slot);
    if (code == Code::kOk) queued.emplace_back(slot, fixture.core->descriptor(slot).generation);
  }
  EXPECT_EQ(code, Code::kSloUnreachable);
  // About as many as fit into 40 ms at 8 rows in 4 ms.
  EXPECT_GE(queued.size(), 8u);
  EXPECT_LE(queued.size(), 90u);
  for (const auto& [slot, generation] : queued) client.port->cancel(slot, generation);
  gate.open = true;
  EXPECT_EQ(client.drain().at(0).value, 0);
  const auto until = std::chrono::steady_clock::now() + 2s;
  while (fixture.core->slo()->admission().waiting_rows() > 0 && std::chrono::steady_clock::now() < until) {
    client.submit(3, {});
    client.drain();
  }
  EXPECT_EQ(fixture.core->slo()->admission().waiting_rows(), 0u);
  client.close();
}

TEST(Slo, learns_what_batches_take_and_hands_it_on) {
  CoreOptions options = with_slo(1000 * kMs);
  Fixture fixture(std::move(options), {{"busy_us", "2000"}});
  Client client(fixture.core);
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  EXPECT_GE(fixture.core->slo()->latency().typical_ns(0, 1), 2 * kMs);
  EXPECT_LT(fixture.core->slo()->latency().typical_ns(0, 1), 200 * kMs);
  const std::string text = fixture.core->latency_table();
  LatencyModel other;
  ASSERT_TRUE(other.initialise(8, 1));
  other.seed(text);
  EXPECT_GE(other.typical_ns(0, 1), 2 * kMs);
  client.close();
}

TEST(Slo, finds_out_that_the_model_is_quick_again_when_everything_is_refused) {
  CoreOptions options = with_slo(500 * kMs);
  options.latency_table = table(800 * kMs, 900 * kMs);
  Fixture fixture(std::move(options));
  Client client(fixture.core);
  Code code = Code::kSloUnreachable;
  const auto until = std::chrono::steady_clock::now() + 5s;
  int refused = 0;
  while (code != Code::kOk && std::chrono::steady_clock::now() < until) {
    code = client.submit(1, {});
    refused += code == Code::kSloUnreachable ? 1 : 0;
    std::this_thread::sleep_for(5ms);
  }
  EXPECT_EQ(code, Code::kOk);
  EXPECT_GE(refused, 1);
  EXPECT_EQ(client.drain().size(), 1u);
  client.close();
}

TEST(Slo, measures_a_model_before_it_is_used) {
  EngineOptions engine;
  engine.parameters = {{"busy_us", "1000"}, {"busy_us_per_row", "500"}};
  engine.config_inputs = {{"input", DataType::kFp32, {-1, 4}}};
  engine.config_outputs = {{"output", DataType::kFp32, {-1, 4}}};
  engine.max_batch_size = 4;
  std::unique_ptr<EngineModel> model;
  ASSERT_TRUE(find_engine("null")->open(engine, &model).is_ok());
  LatencyModel latency;
  ASSERT_TRUE(latency.initialise(4, 1));
  latency.seed(measure_latencies(*model, 4));
  EXPECT_EQ(latency.estimate(0, 4).basis, Basis::kMeasured);
  EXPECT_EQ(latency.estimate(0, 3).basis, Basis::kBetween);
  EXPECT_GE(latency.typical_ns(0, 1), 1'500'000);
  EXPECT_GE(latency.typical_ns(0, 4), 3 * kMs);
}

// A batch of one row costs what it will cost when it is filled up.
TEST(Slo, measures_filled_batches_of_a_deterministic_model) {
  EngineOptions engine;
  engine.parameters = {{"busy_us", "100"}, {"busy_us_per_row", "1000"}};
  engine.config_inputs = {{"input", DataType::kFp32, {-1, 4}}};
  engine.config_outputs = {{"output", DataType::kFp32, {-1, 4}}};
  engine.max_batch_size = 8;
  std::unique_ptr<EngineModel> model;
  ASSERT_TRUE(find_engine("null")->open(engine, &model).is_ok());
  LatencyModel latency;
  ASSERT_TRUE(latency.initialise(8, 1));
  latency.seed(measure_latencies(*model, 8, true));
  EXPECT_GE(latency.typical_ns(0, 1), 8 * kMs);
}

// Each request ends exactly once, whatever is refused, given up, cancelled or late.
TEST(Slo, every_request_ends_once_under_more_load_than_can_be_served) {
  CoreOptions options = with_slo(3 * kMs);
  options.instances = 2;
  options.batch.levels.resize(3);
  for (LevelPolicy& level : options.batch.levels) level.max_queue_size = 256;
  options.latency_table = table(200'000, 400'000);
  Fixture fixture(std::move(options), {{"busy_us", "100"}, {"busy_us_per_row", "30"}});
  constexpr int kClients = 3;
  std::atomic<uint64_t> ended{0}, taken{0}, turned_away{0};
  std::vector<std::thread> threads;
  for (int c = 0; c < kClients; ++c) {
    threads.emplace_back([&, c] {
      Client client(fixture.core);
      std::mt19937 random(static_cast<uint32_t>(c));
      uint64_t mine = 0, back = 0;
      const auto until = std::chrono::steady_clock::now() + 700ms;
      while (std::chrono::steady_clock::now() < until) {
        Submission submission;
        submission.priority = random() % 4;
        if (random() % 2 == 0) submission.deadline_in_ns = static_cast<int64_t>(random() % 4'000'000);
        uint32_t slot = 0;
        const Code code = client.submit(1, submission, &slot);
        if (code == Code::kOk) {
          ++mine;
          if (random() % 16 == 0 && client.port->cancel(slot, fixture.core->descriptor(slot).generation)) ++back;
        } else {
          ++turned_away;
        }
        if (random() % 8 == 0) back += client.drain(0ms).size();
      }
      while (back < mine) {
        const size_t more = client.drain(3000ms).size();
        if (more == 0) break;
        back += more;
      }
      EXPECT_EQ(back, mine);
      ended += back;
      taken += mine;
      client.close();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, taken);
  EXPECT_GT(taken, 100u);
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

}  // namespace
}  // namespace subten
