// Instances that come and go with the load.

#include "executor/elastic.h"

#include <mutex>
#include <random>

#include "metrics/clock.h"
#include "queue/parking.h"
#include "test/executor/null_core.h"

namespace subten {
namespace {

constexpr int64_t kMs = 1'000'000;

// What a model knows of its engine instances.
struct Facts {
  std::atomic<int> made{0}, live{0}, most_live{0}, running{0}, most_running{0};
  std::atomic<int> allowed{1 << 20};  // instances that can be made
  std::atomic<int64_t> run_us{0};
};
void raise_to(std::atomic<int>& most, int value) {
  int seen = most.load();
  while (value > seen && !most.compare_exchange_weak(seen, value)) {
  }
}

// Echoes after a sleep: a batch that uses no processor, so that any number of them can run at once.
class SleepyModel final : public EngineModel {
 public:
  explicit SleepyModel(Facts* facts) : facts_(facts) {
    spec_.inputs = spec_.outputs = {{"x", DataType::kFp32, {-1, 64}}};
  }
  const ModelSpec& spec() const noexcept override { return spec_; }
  Completion completion() const noexcept override { return Completion::kSync; }
  Status create_instance(std::unique_ptr<EngineInstance>* out) override {
    if (facts_->made >= facts_->allowed) return Status::error(Code::kOutOfMemory, "no more of them");
    ++facts_->made;
    *out = std::make_unique<Instance>(facts_);
    return Status::ok();
  }

 private:
  struct Instance final : EngineInstance {
    explicit Instance(Facts* facts) : facts(facts) { raise_to(facts->most_live, ++facts->live); }
    ~Instance() override { --facts->live; }
    void execute(const BatchView& batch, BatchCompletion* completion) noexcept override {
      raise_to(facts->most_running, ++facts->running);
      if (facts->run_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(facts->run_us));
      const BatchTensor& input = batch.inputs[0];
      std::memcpy(completion->allocate(0, input.shape, input.bytes), input.data, input.bytes);
      --facts->running;
      completion->done(Status::ok());
    }
    Facts* facts;
  };
  Facts* facts_;
  ModelSpec spec_;
};

CoreOptions from_to(uint32_t least, uint32_t most, int64_t idle_ns = 200 * kMs) {
  CoreOptions options = batching(1);
  options.count_min = least;
  options.count_max = most;
  options.idle_instance_ns = idle_ns;
  return options;
}

template <typename Condition>
bool soon(Condition condition, std::chrono::milliseconds patience = 5000ms) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// Keeps `depth` requests under way until `condition`; then reads what is left.
template <typename Condition>
bool loaded_until(Client& client, size_t depth, Condition condition) {
  size_t under_way = 0;
  const bool met = soon([&] {
    for (; under_way < depth; ++under_way) EXPECT_EQ(client.submit(1, {}), Code::kOk);
    under_way -= client.drain(1ms).size();
    return condition();
  });
  EXPECT_EQ(client.drain(5000ms, under_way).size(), under_way);
  return met;
}

TEST(Elastic, grows_after_leaders_were_behind_for_longer_than_a_batch_and_once_in_a_while) {
  Elastic elastic(1, 3, 10'000 * kMs);
  elastic.begin(0);
  EXPECT_FALSE(elastic.should_grow(true, 1000 * kMs, 5 * kMs));   // behind for the first time
  EXPECT_FALSE(elastic.should_grow(true, 1004 * kMs, 5 * kMs));   // not for long
  EXPECT_FALSE(elastic.should_grow(false, 1006 * kMs, 5 * kMs));  // not any more
  EXPECT_FALSE(elastic.should_grow(true, 1007 * kMs, 5 * kMs));
  EXPECT_TRUE(elastic.should_grow(true, 1013 * kMs, 5 * kMs));
  EXPECT_FALSE(elastic.should_grow(true, 1014 * kMs, 5 * kMs)) << "one is on its way";
  elastic.began(1, 1020 * kMs);
  EXPECT_EQ(elastic.active(), 2u);
  EXPECT_FALSE(elastic.should_grow(true, 1021 * kMs, 5 * kMs));
  EXPECT_FALSE(elastic.should_grow(true, 1119 * kMs, 5 * kMs)) << "within 100 ms of the one before";
  EXPECT_TRUE(elastic.should_grow(true, 1120 * kMs, 5 * kMs));
  EXPECT_TRUE(elastic.failed(2, 1121 * kMs));
  EXPECT_FALSE(elastic.should_grow(true, 1500 * kMs, 5 * kMs)) << "it failed a moment ago";
  EXPECT_TRUE(elastic.should_grow(true, 12'000 * kMs, 5 * kMs));
  EXPECT_FALSE(elastic.failed(2, 12'001 * kMs)) << "said once";
  EXPECT_TRUE(elastic.should_grow(true, 30'000 * kMs, 5 * kMs));
  elastic.began(2, 30'000 * kMs);
  EXPECT_FALSE(elastic.should_grow(true, 40'000 * kMs, 5 * kMs));
  EXPECT_FALSE(elastic.should_grow(true, 50'000 * kMs, 5 * kMs)) << "there are as many as there may be";
}

TEST(Elastic, never_fewer_than_the_least_stay) {
  Elastic elastic(2, 3, kMs);
  for (uint32_t place = 0; place < 3; ++place) elastic.begin(place);
  EXPECT_TRUE(elastic.leave(0));
  EXPECT_FALSE(elastic.leave(1));
  EXPECT_FALSE(elastic.leave(2));
  EXPECT_EQ(elastic.active(), 2u);
  EXPECT_FALSE(elastic.active_at(0));
}

TEST(Elastic, instances_come_with_load_up_to_the_most_and_go_when_it_is_gone_and_come_again) {
  Facts facts;
  facts.run_us = 2000;
  Fixture fixture(std::make_unique<SleepyModel>(&facts), from_to(1, 3));
  EXPECT_EQ(fixture.core->active_instances(), 1u);
  EXPECT_EQ(facts.made, 1);
  Client client(fixture.core);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(loaded_until(client, 12, [&] { return fixture.core->active_instances() == 3; }));
    EXPECT_EQ(facts.live, 3);
    loaded_until(client, 12, [&] { return facts.most_running == 3; });
    EXPECT_EQ(facts.most_running, 3);
    EXPECT_TRUE(soon([&] { return fixture.core->active_instances() == 1 && facts.live == 1; }));
  }
  EXPECT_EQ(facts.most_live, 3);
  EXPECT_EQ(facts.made, 5);
  ASSERT_EQ(client.submit(4, {}), Code::kOk);
  EXPECT_EQ(client.drain().size(), 1u);
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
  EXPECT_EQ(facts.live, 0);
}

TEST(Elastic, a_load_that_one_instance_carries_gets_no_other) {
  Facts facts;
  Fixture fixture(std::make_unique<SleepyModel>(&facts), from_to(1, 3, kMs));
  Client client(fixture.core);
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  EXPECT_EQ(facts.made, 1);
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());  // before `facts` goes
}

TEST(Elastic, the_count_of_the_instance_group_is_where_it_begins_if_it_lies_between) {
  const auto begins_with = [](uint32_t instances, uint32_t least, uint32_t most) {
    Facts facts;
    CoreOptions options = from_to(least, most);
    options.instances = instances;
    Fixture fixture(std::make_unique<SleepyModel>(&facts), std::move(options));
    EXPECT_EQ(facts.made, static_cast<int>(fixture.core->active_instances()));
    return fixture.core->active_instances();
  };
  EXPECT_EQ(begins_with(3, 2, 5), 3u);
  EXPECT_EQ(begins_with(1, 2, 5), 2u);
  EXPECT_EQ(begins_with(9, 2, 5), 5u);
  EXPECT_EQ(begins_with(1, 4, 4), 4u);
  EXPECT_EQ(begins_with(4, 0, 3), 3u);
  EXPECT_EQ(begins_with(1, 3, 0), 3u);
  EXPECT_EQ(begins_with(5, 0, 0), 5u);
}

TEST(Elastic, counts_that_contradict_each_other_are_refused) {
  Facts facts;
  std::shared_ptr<ModelCore> core;
  Status status = ModelCore::create(std::make_unique<SleepyModel>(&facts), from_to(3, 2), &core);
  EXPECT_EQ(status.code, Code::kConfigInvalid);
  EXPECT_EQ(status.message, "countMin, 3, must be at most countMax, which is 2");
  EXPECT_EQ(ModelCore::create(std::make_unique<SleepyModel>(&facts), from_to(1, 65), &core).code, Code::kConfigInvalid);
}

TEST(Elastic, an_instance_that_cannot_be_made_leaves_fewer_and_is_told_of_once) {
  Facts facts;
  facts.allowed = 2;
  facts.run_us = 1000;
  CoreOptions options = from_to(1, 4);
  options.label = "mine (null)";
  options.instances = 3;  // the third fails at load, and no one comes later
  testing::internal::CaptureStderr();
  {
    Fixture fixture(std::make_unique<SleepyModel>(&facts), std::move(options));
    EXPECT_EQ(fixture.core->active_instances(), 2u);
    Client client(fixture.core);
    const int64_t until = monotonic_ns() + 300 * kMs;
    loaded_until(client, 12, [&] { return monotonic_ns() > until; });
    EXPECT_EQ(fixture.core->active_instances(), 2u);
    client.close();
    fixture.core.reset();
    EXPECT_TRUE(fixture.ended());
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "subten: mine (null): another instance could not be made, so there are fewer: no more of them\n");
}

TEST(Elastic, an_instance_that_cannot_be_made_under_load_changes_nothing_for_the_others) {
  Facts facts;
  facts.allowed = 1;
  facts.run_us = 1000;
  testing::internal::CaptureStderr();
  Fixture fixture(std::make_unique<SleepyModel>(&facts), from_to(1, 4));
  Client client(fixture.core);
  const int64_t until = monotonic_ns() + 400 * kMs;
  loaded_until(client, 12, [&] { return monotonic_ns() > until; });
  EXPECT_EQ(fixture.core->active_instances(), 1u);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("no more of them"), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Elastic, a_model_that_cannot_have_its_least_instances_is_not_loaded) {
  Facts facts;
  facts.allowed = 1;
  std::shared_ptr<ModelCore> core;
  EXPECT_EQ(ModelCore::create(std::make_unique<SleepyModel>(&facts), from_to(2, 4), &core).code, Code::kOutOfMemory);
}

TEST(Elastic, engines_that_complete_later_are_offered_more_and_less) {
  CoreOptions options = from_to(1, 3);
  Fixture fixture(std::move(options), {{"completion", "async"}, {"busy_us", "1000"}});
  EXPECT_EQ(fixture.core->active_instances(), 1u);
  Client client(fixture.core);
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(loaded_until(client, 12, [&] { return fixture.core->active_instances() == 3; }));
    EXPECT_TRUE(soon([&] { return fixture.core->active_instances() == 1; }));
  }
  ASSERT_EQ(client.submit(4, {}), Code::kOk);
  EXPECT_EQ(client.drain().size(), 1u);
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

// Instances come and go all the time: no request is lost over it, and cancels meet instances that go.
class Restless : public testing::TestWithParam<const char*> {};

TEST_P(Restless, every_request_ends_while_instances_come_and_go) {
  CoreOptions options = batching(2);
  options.count_min = 1;
  options.count_max = 4;
  options.idle_instance_ns = 100'000;
  Fixture fixture(std::move(options), {{"completion", GetParam()}, {"busy_us", "20"}});
  std::atomic<uint32_t> most{0};
  std::atomic<bool> shrank{false};
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread + 1);
      Client client(fixture.core);
      for (int round = 0; round < 150; ++round) {
        size_t live = 0;
        const uint32_t count = 1 + random() % 40;
        for (uint32_t i = 0; i < count; ++i) {
          uint32_t slot = 0;
          Submission submission;
          ASSERT_TRUE(client.lease(&submission));
          client.free.emplace_back(submission.slot, submission.generation);
          if (random() % 16 == 0) submission.deadline_in_ns = static_cast<int64_t>(random() % 200'000);
          if (client.submit(1, submission, &slot) != Code::kOk) continue;
          ++live;
          if (random() % 8 == 0 && client.port->cancel(slot, submission.generation)) --live;
        }
        while (live > 0) {
          const uint32_t active = fixture.core->active_instances();
          uint32_t seen = most;
          while (active > seen && !most.compare_exchange_weak(seen, active)) {
          }
          if (active < most) shrank = true;
          const auto results = client.drain(5000ms);
          ASSERT_FALSE(results.empty()) << live << " requests are lost";
          ASSERT_LE(results.size(), live);
          live -= results.size();
        }
        if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 1000));
      }
      client.close();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GT(most, 1u) << "it never grew: nothing was tested";
  EXPECT_TRUE(shrank) << "it never shrank: nothing was tested";
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST_P(Restless, the_last_port_ends_the_core_whatever_its_instances_are_doing) {
  for (int round = 0; round < 60; ++round) {
    CoreOptions options = batching(1);
    options.count_min = 1 + round % 2;
    options.count_max = 4;
    options.idle_instance_ns = 50'000;
    options.batch.preserve_ordering = round % 3 == 0;
    Fixture fixture(std::move(options), {{"completion", GetParam()}, {"busy_us", "50"}});
    Client client(fixture.core);
    for (int i = 0; i < round; ++i) ASSERT_EQ(client.submit(1, {}), Code::kOk);
    std::this_thread::sleep_for(std::chrono::microseconds(37 * round % 1000));
    client.close();
    fixture.core.reset();
    ASSERT_TRUE(fixture.ended()) << "round " << round;
  }
}

TEST(Elastic, whoever_parks_knows_whether_somebody_relies_on_it) {
  Parking parking;
  parking.prepare(3);
  EXPECT_TRUE(parking.wake_one());
  EXPECT_TRUE(parking.wait(3, monotonic_ns())) << "chosen, though its time is up as well";
  parking.prepare(3);
  EXPECT_FALSE(parking.wait(3, monotonic_ns()));
  EXPECT_FALSE(parking.any());
}

TEST(Elastic, a_request_that_comes_as_an_instance_goes_is_not_lost) {
  Facts facts;
  facts.run_us = 20;
  Fixture fixture(std::make_unique<SleepyModel>(&facts), from_to(1, 2, 100'000));
  Client client(fixture.core);
  std::mt19937 random(1);
  for (int round = 0; round < 1500; ++round) {
    for (int i = 0; i < 16; ++i) ASSERT_EQ(client.submit(1, {}), Code::kOk);  // the second one comes
    ASSERT_EQ(client.drain(5000ms, 16).size(), 16u);
    const int64_t until = monotonic_ns() + random() % 150'000;
    while (monotonic_ns() < until) pause_cpu();
    ASSERT_EQ(client.submit(1, {}), Code::kOk);  // about when it goes
    ASSERT_EQ(client.drain(5000ms).size(), 1u) << "lost in round " << round;
  }
  EXPECT_GT(facts.made, 10);
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

INSTANTIATE_TEST_SUITE_P(Elastic, Restless, testing::Values("sync", "async"));

}  // namespace
}  // namespace subten
