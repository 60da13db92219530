// Shares between models: the schedule with a clock of the test's own, then threads, then whole cores.

#include "executor/machine_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <random>

#include "executor/process_state.h"
#include "metrics/clock.h"
#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

// Models whose batches run one after the other on so many places, in virtual time.
class Machine {
 public:
  struct Model {
    uint32_t member = 0;
    std::function<int64_t()> takes;  // how long the next batch runs
    int64_t used_ns = 0;
    int64_t longest_wait_ns = 0;
    int64_t wanted_ns = 0;  // since when its longest waiting thread waits; one thread a model in those tests
    bool wants = true;      // begins another batch when one ends
  };

  explicit Machine(uint32_t places) : schedule(places) {}
  Model& add(double weight, std::function<int64_t()> takes, uint32_t threads = 1) {
    models.push_back(std::make_unique<Model>());
    Model& model = *models.back();
    model.member = schedule.join(weight);
    model.takes = std::move(takes);
    want(model, threads);
    return model;
  }
  void want(Model& model, uint32_t threads = 1) {
    model.wants = true;
    model.wanted_ns = now;
    for (uint32_t i = 0; i < threads; ++i) schedule.want(model.member);
  }
  void run(int64_t until_ns) {
    for (;;) {
      int64_t charged = 0;
      for (uint32_t member = schedule.next(&charged); member != ShareSchedule::kNobody;
           member = schedule.next(&charged)) {
        Model& model = of(member);
        model.longest_wait_ns = std::max(model.longest_wait_ns, now - model.wanted_ns);
        running.push_back({&model, now, now + model.takes(), charged});
      }
      most_running = std::max(most_running, running.size());
      ASSERT_FALSE(running.empty()) << "somebody wants to run and nobody does";
      const auto ends = std::min_element(running.begin(), running.end(),
                                         [](const auto& a, const auto& b) { return a.end_ns < b.end_ns; });
      if (ends->end_ns > until_ns) return;
      const Run over = *ends;
      running.erase(ends);
      now = over.end_ns;
      over.model->used_ns += over.end_ns - over.begin_ns;
      over.model->wanted_ns = now;
      if (over.model->wants) schedule.want(over.model->member);  // before the end, as a thread does
      schedule.end(over.model->member, over.charged_ns, over.end_ns - over.begin_ns);
    }
  }
  Model& of(uint32_t member) {
    return **std::find_if(models.begin(), models.end(), [&](const auto& each) { return each->member == member; });
  }

  struct Run {
    Model* model;
    int64_t begin_ns, end_ns, charged_ns;
  };
  ShareSchedule schedule;
  int64_t now = 0;
  std::vector<std::unique_ptr<Model>> models;
  std::vector<Run> running;
  size_t most_running = 0;
};

std::function<int64_t()> always(int64_t ns) {
  return [ns] { return ns; };
}
std::function<int64_t()> between(int64_t least, int64_t most, uint32_t seed) {
  return [=, random = std::mt19937(seed)]() mutable {
    return std::uniform_int_distribution<int64_t>(least, most)(random);
  };
}

TEST(ShareSchedule, three_models_get_time_as_their_weights_say_however_long_their_batches_are) {
  for (const uint32_t places : {1u, 2u, 4u}) {
    Machine machine(places);
    machine.add(1, between(1000, 9000, 1), places);
    machine.add(2, always(700), places);
    machine.add(4, between(10, 3000, 3), places);
    machine.run(100'000'000);
    double sum = 0;
    for (const auto& model : machine.models) sum += static_cast<double>(model->used_ns);
    EXPECT_NEAR(sum, 100e6 * places, 1e6) << "no place stands empty";
    EXPECT_EQ(machine.most_running, places);
    const double weights[] = {1, 2, 4};
    for (size_t i = 0; i < 3; ++i) {
      const double share = static_cast<double>(machine.models[i]->used_ns) / sum;
      EXPECT_NEAR(share, weights[i] / 7, 0.05 * weights[i] / 7) << "model " << i << ", places " << places;
    }
  }
}

TEST(ShareSchedule, nobody_waits_longer_than_its_weight_allows) {
  Machine machine(1);
  auto& small = machine.add(1, always(1000));
  machine.add(99, always(1000));
  machine.add(900, always(1000));
  machine.run(50'000'000);
  // With a thousandth of the time, its turn comes every thousand batches.
  EXPECT_GT(small.used_ns, 40'000);
  EXPECT_LE(small.longest_wait_ns, 1'010'000);
}

TEST(ShareSchedule, a_model_that_was_idle_gets_no_credit_for_it) {
  Machine machine(1);
  auto& idle = machine.add(1, always(1000));
  auto& busy = machine.add(1, always(1000));
  idle.wants = false;
  machine.run(10'000'000);
  EXPECT_LE(idle.used_ns, 1000);
  const int64_t before_idle = idle.used_ns, before_busy = busy.used_ns;
  machine.want(idle);
  machine.run(11'000'000);
  EXPECT_NEAR(static_cast<double>(idle.used_ns - before_idle), static_cast<double>(busy.used_ns - before_busy), 3000);
}

TEST(ShareSchedule, after_all_were_idle_nobody_has_credit_or_debt_that_counts) {
  Machine machine(1);
  auto& first = machine.add(1, always(1000));
  machine.run(10'000'000);  // alone
  first.wants = false;
  int64_t charged = 0;
  const Machine::Run last = machine.running[0];
  machine.running.clear();
  machine.schedule.end(last.model->member, last.charged_ns, 1000);
  EXPECT_EQ(machine.schedule.next(&charged), ShareSchedule::kNobody);
  EXPECT_EQ(machine.schedule.running(), 0u);
  auto& second = machine.add(1, always(1000));
  machine.want(first);
  const int64_t before = first.used_ns;
  machine.run(machine.now + 1'000'000);
  EXPECT_NEAR(static_cast<double>(first.used_ns - before), static_cast<double>(second.used_ns), 3000);
}

TEST(ShareSchedule, a_model_alone_gets_every_place) {
  Machine machine(3);
  auto& alone = machine.add(0.5, always(1000), 3);
  machine.run(1'000'000);
  EXPECT_NEAR(static_cast<double>(alone.used_ns), 3e6, 6000);
}

TEST(ShareSchedule, the_place_of_a_model_that_left_begins_anew) {
  ShareSchedule schedule(1);
  const uint32_t member = schedule.join(1);
  int64_t charged = 0;
  schedule.want(member);
  EXPECT_EQ(schedule.next(&charged), member);
  schedule.end(member, charged, 1'000'000);
  schedule.leave(member);
  EXPECT_EQ(schedule.join(5), member);
  EXPECT_EQ(schedule.virtual_ns(member), 0);
  EXPECT_NE(schedule.join(1), member);
}

TEST(MachineShare, no_more_threads_have_a_place_than_there_are_and_each_gets_its_turn) {
  MachineShare share(2);
  std::atomic<int> inside{0}, most{0};
  std::atomic<uint64_t> turns{0};
  std::vector<std::thread> threads;
  for (int model = 0; model < 3; ++model) {
    const uint32_t member = share.join(1 + model);
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, member] {
        MachineShare::Turn turn(&share, member);
        for (int round = 0; round < 3000; ++round) {
          turn.take();
          const int now = inside.fetch_add(1) + 1;
          int seen = most.load();
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          inside.fetch_sub(1);
          ++turns;
          if (round % 5 == 0) turn.rest();
        }
      });
    }
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(turns, 18'000u);
  EXPECT_LE(most, 2);
  EXPECT_FALSE(share.crowded());
}

TEST(MachineShare, a_turn_that_ends_in_any_way_gives_its_place_back) {
  MachineShare share(1);
  const uint32_t member = share.join(1);
  {
    MachineShare::Turn turn(&share, member);
    turn.take();
    EXPECT_TRUE(turn.has_place());
  }
  MachineShare::Turn next(&share, member);
  next.take();  // or it would wait for ever
  EXPECT_TRUE(next.has_place());
}

CoreOptions weighing(double weight) {
  CoreOptions options = batching(1);
  options.weight = weight;
  // More threads than there are places, for each model.
  options.instances = std::min<uint32_t>(process_state().cpus.used + 1, Parking::kPlaces);
  return options;
}

TEST(MachineShare, weights_are_checked) {
  const auto status = [](double weight, const char* completion) {
    EngineOptions engine;
    engine.parameters = {{"completion", completion}};
    engine.config_inputs = engine.config_outputs = {{"x", DataType::kFp32, {-1, 64}}};
    engine.max_batch_size = 1;
    std::unique_ptr<EngineModel> model;
    EXPECT_TRUE(find_engine("null")->open(engine, &model).is_ok());
    std::shared_ptr<ModelCore> core;
    return ModelCore::create(std::move(model), weighing(weight), &core).code;
  };
  EXPECT_EQ(status(0, "sync"), Code::kOk);
  EXPECT_EQ(status(2.5, "sync"), Code::kOk);
  EXPECT_EQ(status(-1, "sync"), Code::kConfigInvalid);
  EXPECT_EQ(status(NAN, "sync"), Code::kConfigInvalid);
  EXPECT_EQ(status(1e9, "sync"), Code::kConfigInvalid);
  EXPECT_EQ(status(2, "async"), Code::kNotSupported);
}

TEST(MachineShare, models_that_have_always_something_to_run_get_work_done_as_their_weights_say) {
  if (process_state().cpus.used >= Parking::kPlaces) GTEST_SKIP() << "one model cannot fill this machine";
  // Deep queues and long batches: whoever submits gets little of the processors here.
  Fixture light(weighing(1), {{"busy_us", "2000"}});
  Fixture heavy(weighing(3), {{"busy_us", "2000"}});
  std::atomic<bool> stop{false};
  const auto load = [&](Fixture& fixture) {
    Client client(fixture.core);
    size_t under_way = 0;
    while (!stop) {
      for (; under_way < 200; ++under_way) ASSERT_EQ(client.submit(1, {}), Code::kOk);
      under_way -= client.drain(1ms).size();
    }
    client.close();
  };
  std::thread threads[] = {std::thread(load, std::ref(light)), std::thread(load, std::ref(heavy))};
  // Until both are under way, then a count of batches.
  while (light.core->batch_counts.count < 20 || heavy.core->batch_counts.count < 20) std::this_thread::sleep_for(1ms);
  // One count of several: what runs beside the tests takes the processors away for longer than many batches, and what
  // is shared is time.
  double ratio = 0;
  for (int tries = 0; tries < 5 && !(ratio > 3 * 0.8 && ratio < 3 * 1.2); ++tries) {
    const uint64_t light_before = light.core->batch_counts.count, heavy_before = heavy.core->batch_counts.count;
    while (light.core->batch_counts.count - light_before + heavy.core->batch_counts.count - heavy_before < 600) {
      std::this_thread::sleep_for(1ms);
    }
    ratio = static_cast<double>(heavy.core->batch_counts.count - heavy_before) /
            static_cast<double>(light.core->batch_counts.count - light_before);
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  RecordProperty("ratio", std::to_string(ratio));
  EXPECT_GT(ratio, 3 * 0.8);
  EXPECT_LT(ratio, 3 * 1.2);
}

TEST(MachineShare, an_engine_that_fails_gives_its_place_back_and_ordered_batches_do_not_wait_for_each_other) {
  const uint32_t places = process_state().cpus.used;
  CoreOptions options = weighing(1);
  options.batch.preserve_ordering = true;
  Fixture fixture(std::make_unique<ScriptedModel>([](const BatchView&, BatchCompletion* completion) {
                    completion->done(Status::error(Code::kEngineFailed, "no"));
                  }),
                  std::move(options));
  Client client(fixture.core);
  for (uint32_t i = 0; i < 20 * places; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    const auto results = client.drain(5000ms, 2);
    ASSERT_EQ(results.size(), 2u);
    EXPECT_EQ(results[0].status, Code::kEngineFailed);
  }
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(MachineShare, a_request_that_waits_for_a_place_can_expire_and_a_core_that_waits_can_end) {
  const uint32_t places = process_state().cpus.used;
  Gate gate;
  CoreOptions options = weighing(1);
  options.batch.dynamic = false;
  options.instances = std::min<uint32_t>(places, 64);
  Fixture first(gate.model(), options);
  Client holds(first.core);
  for (uint32_t i = 0; i < places; ++i) ASSERT_EQ(holds.submit(1, {}), Code::kOk);
  while (gate.running < places) std::this_thread::yield();  // every place is taken
  Fixture second(weighing(1000));
  Client waits(second.core);
  Submission late;
  late.deadline_in_ns = 20'000'000;
  ASSERT_EQ(waits.submit(2, late), Code::kOk);
  const auto results = waits.drain(5000ms);
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].status, Code::kDeadlineExceeded);
  ASSERT_EQ(waits.submit(3, {}), Code::kOk);
  waits.close();
  second.core.reset();
  gate.open = true;
  EXPECT_EQ(holds.drain(5000ms, places).size(), places);
  EXPECT_TRUE(second.ended());
  holds.close();
  first.core.reset();
  EXPECT_TRUE(first.ended());
}

}  // namespace
}  // namespace subten
