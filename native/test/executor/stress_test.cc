// Eight producers on ports of one core that is replaced under them: aborts, deadlines, priorities, closes with results
// unread, too few slots for all. Also under TSan.

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <random>

#include "metrics/clock.h"
#include "test/executor/null_core.h"

namespace subten {
namespace {

struct Loaded {
  explicit Loaded(const char* completion, uint32_t number) : fixture(options(number), {{"completion", completion}}) {
    used = fixture.core->slab().used();
    keeper = std::make_unique<Client>(fixture.core);  // as the handle of whoever loaded the model
  }
  static CoreOptions options(uint32_t number) {
    CoreOptions options = batching(8);
    options.instances = 1 + number % 3;
    options.batch.preserve_ordering = number % 4 == 3;
    options.batch.max_queue_delay_ns = number % 2 == 0 ? 0 : 50'000;
    options.max_queue_size = options.batch.levels[0].max_queue_size = 48;
    options.batch.levels.resize(3, options.batch.levels[0]);
    options.batch.levels[2].max_queue_size = 4;
    options.batch.levels[2].timeout_ns = 100'000;
    return options;
  }
  Fixture fixture;
  uint64_t used = 0;
  std::unique_ptr<Client> keeper;
};

struct Seen {
  std::atomic<uint64_t> submitted{0}, results{0}, errors{0}, cancelled{0}, refused{0}, unread{0}, reloads{0};
};

// One environment: its port lives for some hundred requests.
void produce(const std::shared_ptr<Loaded>& loaded, std::mt19937& random, Seen* seen) {
  Client client(loaded->fixture.core);
  std::vector<float> expected(loaded->fixture.core->slots(), -1);
  std::vector<uint32_t> generations(loaded->fixture.core->slots(), 0);
  uint64_t open = 0;
  const auto settle = [&](const std::vector<Client::Result>& results) {
    for (const auto& result : results) {
      ASSERT_EQ(generations[result.slot], result.generation);
      ASSERT_GE(expected[result.slot], 0) << "ended twice, or after it was cancelled";
      if (result.kind == CompletionKind::kFinal) {
        ASSERT_EQ(result.value, expected[result.slot]);
      } else {
        ASSERT_EQ(result.status, Code::kDeadlineExceeded);
      }
      ++(result.kind == CompletionKind::kFinal ? seen->results : seen->errors);
      expected[result.slot] = -1;
      --open;
    }
  };
  const uint32_t count = 50 + random() % 300;
  for (uint32_t i = 0; i < count; ++i) {
    Submission submission;
    submission.priority = random() % 4;
    if (random() % 6 == 0) submission.deadline_in_ns = static_cast<int64_t>(random() % 200'000);
    if (!client.lease(&submission)) {
      ++seen->refused;
      settle(client.drain(1ms));
      client.give_back_if_wanted();
      continue;
    }
    const uint32_t slot = submission.slot, generation = submission.generation;
    client.free.emplace_back(slot, generation);  // submit() leases it again
    const auto value = static_cast<float>(random() % 100'000);
    if (client.submit(value, submission) != Code::kOk) {
      ++seen->refused;
      settle(client.drain(0ms));
      continue;
    }
    expected[slot] = value;
    generations[slot] = generation;
    ++seen->submitted;
    ++open;
    if (random() % 5 == 0 && client.port->cancel(slot, generation)) {
      expected[slot] = -1;
      ++seen->cancelled;
      --open;
    }
    if (random() % 8 == 0) settle(client.drain(0ms));
    if (random() % 16 == 0) client.give_back_if_wanted();
  }
  if (random() % 3 != 0) {
    while (open > 0) {
      const auto results = client.drain(20'000ms);
      ASSERT_FALSE(results.empty()) << open << " requests are lost";
      settle(results);
    }
  }
  seen->unread += open;
  client.close();
}

class Reload : public testing::TestWithParam<const char*> {};

TEST_P(Reload, eight_producers_on_cores_that_come_and_go_lose_nothing) {
  const char* given = std::getenv("SUBTEN_STRESS_SEED");
  const auto seed = given != nullptr ? static_cast<uint32_t>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("SUBTEN_STRESS_SEED=" + std::to_string(seed));
  constexpr uint32_t kProducers = 8, kReloads = 12;
  constexpr uint64_t kEach = 4000;  // requests before the next reload
  std::mutex mutex;
  auto current = std::make_shared<Loaded>(GetParam(), 0);
  Seen seen;
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < kProducers; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(seed + thread);
      while (!over && !testing::Test::HasFatalFailure()) {
        std::shared_ptr<Loaded> mine;
        {
          std::lock_guard lock(mutex);
          mine = current;
        }
        produce(mine, random, &seen);
      }
    });
  }
  std::vector<std::shared_ptr<Loaded>> old;
  const int64_t until = monotonic_ns() + 300'000'000'000;
  while (old.size() < kReloads && monotonic_ns() < until && !testing::Test::HasFatalFailure()) {
    if (seen.submitted < kEach * (old.size() + 1)) {
      std::this_thread::sleep_for(200us);
      continue;
    }
    auto next = std::make_shared<Loaded>(GetParam(), static_cast<uint32_t>(old.size() + 1));
    std::lock_guard lock(mutex);
    old.push_back(std::exchange(current, std::move(next)));
  }
  over = true;
  for (auto& thread : threads) thread.join();
  old.push_back(std::move(current));
  EXPECT_EQ(old.size(), kReloads + 1);
  EXPECT_EQ(seen.results + seen.errors + seen.cancelled + seen.unread, seen.submitted);
  uint64_t submitted = 0;
  for (auto& loaded : old) {
    ModelCore& core = *loaded->fixture.core;
    // What was given up while it ran ends with its run.
    const PortCounts& counts = core.retired_counts();
    const auto ended = [&] { return counts.succeeded + counts.failed + counts.cancelled + counts.expired; };
    const int64_t patience = monotonic_ns() + 20'000'000'000;
    while (core.slab().used() != loaded->used && monotonic_ns() < patience) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(core.slab().used(), loaded->used);
    EXPECT_EQ(ended(), counts.submitted);
    EXPECT_EQ(counts.failed, 0u);
    submitted += counts.submitted;
    loaded->keeper->close();
    loaded->fixture.core.reset();
    EXPECT_TRUE(loaded->fixture.ended());
  }
  EXPECT_EQ(submitted, seen.submitted);
  EXPECT_GT(seen.refused, 0u);
}

INSTANTIATE_TEST_SUITE_P(Completion, Reload, testing::Values("sync", "async"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace subten
