// Ports that come and go while requests are queued and run: nothing is lost, nothing is held, nothing is touched late.

#include <algorithm>
#include <random>

#include "metrics/clock.h"
#include "test/executor/null_core.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

class Lifetime : public testing::TestWithParam<const char*> {
 protected:
  Parameters parameters(const std::string& busy_us = "0") const {
    return {{"completion", GetParam()}, {"busy_us", busy_us}};
  }
};

TEST_P(Lifetime, the_last_port_closed_with_requests_queued_and_running_ends_the_core) {
  for (int round = 0; round < 20; ++round) {
    CoreOptions options = batching(2);
    options.instances = 1 + round % 3;
    options.batch.preserve_ordering = round % 2 == 0;
    Fixture fixture(std::move(options), parameters("2000"));
    Client client(fixture.core);
    for (int i = 0; i < 12; ++i) ASSERT_EQ(client.submit(1, {}), Code::kOk);
    if (round % 4 == 0) std::this_thread::sleep_for(1ms);
    client.close();
    fixture.core.reset();
    ASSERT_TRUE(fixture.ended()) << "round " << round;
  }
}

TEST_P(Lifetime, a_run_whose_requests_were_all_given_up_is_ended_whatever_it_was_doing) {
  for (int round = 0; round < 100; ++round) {
    Fixture fixture(batching(2), parameters("1000000000"));  // a quarter of an hour, if nobody ends it
    Client client(fixture.core);
    uint32_t slots[2];
    for (uint32_t& slot : slots) ASSERT_EQ(client.submit(1, {}, &slot), Code::kOk);
    const int64_t until = monotonic_ns() + round * 2000;
    while (monotonic_ns() < until) {
    }
    if (round % 2 == 0) {
      for (const uint32_t slot : slots) EXPECT_TRUE(client.port->cancel(slot, 0));
    }
    client.close();  // gives up what is left
    fixture.core.reset();
    ASSERT_TRUE(fixture.ended()) << "round " << round;
  }
}

TEST_P(Lifetime, everything_but_the_home_rows_is_back_when_a_port_leaves_its_results_unread) {
  CoreOptions options = batching();
  options.instances = 2;
  Fixture fixture(std::move(options), parameters());
  const uint64_t before = fixture.core->slab().used();
  Client stays(fixture.core);
  for (int round = 0; round < 50; ++round) {
    Client goes(fixture.core);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(goes.submit(1, {}), Code::kOk);
    if (round % 2 == 0) std::this_thread::sleep_for(200us);
    goes.close();
  }
  const auto until = monotonic_ns() + 5'000'000'000;
  while (fixture.core->slab().used() != before && monotonic_ns() < until) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(fixture.core->slab().used(), before);
  ASSERT_EQ(stays.submit(8, {}), Code::kOk);
  const auto results = stays.drain();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].value, 8);
  // All slots are back in the pool, each once.
  std::vector<uint32_t> slots(fixture.core->slots()), generations(fixture.core->slots());
  // The thread that gives the last one back has given its memory back before, and may not run for a while.
  const auto missing = [&](uint32_t leased) { return fixture.core->slots() - stays.free.size() - leased; };
  uint32_t leased = 0;
  while (missing(leased) > 0 && monotonic_ns() < until) {
    leased +=
        stays.port->lease(slots.data() + leased, generations.data() + leased, static_cast<uint32_t>(missing(leased)));
  }
  EXPECT_EQ(missing(leased), 0u);
  slots.resize(leased);
  std::sort(slots.begin(), slots.end());
  EXPECT_EQ(std::adjacent_find(slots.begin(), slots.end()), slots.end()) << "a slot came back twice";
  stays.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST_P(Lifetime, environments_that_come_and_go_at_once_do_not_disturb_each_other) {
  CoreOptions options = batching();
  options.instances = 2;
  Fixture fixture(std::move(options), parameters());
  Client keeper(fixture.core);  // holds the core while the others come and go
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937 random(thread + 1);
      for (int round = 0; round < 60; ++round) {
        Client client(fixture.core);
        std::vector<float> wanted(fixture.core->slots(), -1);
        const uint32_t count = 1 + random() % 20;
        size_t live = 0;
        for (uint32_t i = 0; i < count; ++i) {
          uint32_t slot = 0;
          const auto value = static_cast<float>(random() % 10'000);
          Submission submission;
          if (random() % 4 == 0) submission.deadline_in_ns = static_cast<int64_t>(random() % 100'000);
          if (client.submit(value, submission, &slot) != Code::kOk) continue;
          wanted[slot] = value;
          ++live;
        }
        if (random() % 2 == 0) {
          size_t seen = 0;
          while (seen < live) {
            const auto results = client.drain(5000ms);
            ASSERT_FALSE(results.empty()) << live - seen << " requests are lost";
            for (const auto& result : results) {
              if (result.kind == CompletionKind::kFinal) {
                ASSERT_EQ(result.value, wanted[result.slot]);
              }
            }
            seen += results.size();
          }
        }
        client.close();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  keeper.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

INSTANTIATE_TEST_SUITE_P(Completion, Lifetime, testing::Values("sync", "async"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Core, without_a_port_a_core_is_gone_when_it_is_let_go_and_after_the_last_one_it_takes_no_other) {
  Fixture never(batching());
  never.core.reset();
  EXPECT_TRUE(never.ended());
  Fixture fixture(batching());
  Client client(fixture.core);
  client.close();
  std::shared_ptr<Port> late;
  EXPECT_EQ(Port::create(
                fixture.core, [](void*) {}, nullptr, &late)
                .code,
            Code::kModelClosed);
}

TEST(Core, a_slot_that_an_instance_is_returning_is_not_returned_by_the_closing_port_as_well) {
  CoreOptions options = batching();
  options.memory_bytes = 64 << 20;
  options.poison = true;  // with a large input, returning the slot takes long enough to be met in the middle
  Gate gate;
  Fixture fixture(gate.model(), std::move(options));
  Client stays(fixture.core);
  Client goes(fixture.core);
  Submission submission;
  ASSERT_TRUE(goes.lease(&submission));
  submission.staged = true;
  uint64_t offset = 0;
  std::string message;
  ASSERT_EQ(goes.port->allocate(submission.slot, submission.generation, 0, 32 << 20, &offset, &message), Code::kOk);
  *goes.port->staging() = {1, 0, 2, {1, 64}};
  ASSERT_EQ(goes.port->submit(submission, &message), Code::kOk) << message;
  gate.wait_until_running();
  ASSERT_TRUE(goes.port->cancel(submission.slot, submission.generation));
  gate.open = true;
  const RequestState& state = fixture.core->descriptor(submission.slot).state;
  while ((state.load() & RequestWord::kHolds) != 0) std::this_thread::yield();
  goes.close();

  // The instance has let go of the slot when it has run another request.
  ASSERT_EQ(stays.submit(1, {}), Code::kOk);
  ASSERT_EQ(stays.drain().size(), 1u);
  stays.close();
  std::vector<bool> seen(fixture.core->slots());
  uint32_t count = 0;
  for (uint32_t slot = fixture.core->pool().pop(); slot != kNoSlot; slot = fixture.core->pool().pop()) {
    ASSERT_FALSE(seen[slot]) << "slot " << slot << " came back twice";
    seen[slot] = true;
    ++count;
  }
  EXPECT_EQ(count, fixture.core->slots());
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, a_port_without_a_free_slot_wakes_the_others_which_give_back_what_they_do_not_need) {
  Fixture fixture(batching());
  Client hoards(fixture.core), running(fixture.core), late(fixture.core);
  std::vector<uint32_t> slots(fixture.core->slots()), generations(fixture.core->slots());
  ASSERT_EQ(running.submit(1, {}), Code::kOk);
  ASSERT_EQ(running.drain().size(), 1u);
  const uint32_t leased = hoards.port->lease(slots.data(), generations.data(), fixture.core->slots());
  for (uint32_t i = 0; i < leased; ++i) hoards.free.emplace_back(slots[i], generations[i]);
  const uint64_t woken = hoards.woken;
  EXPECT_FALSE(hoards.give_back_if_wanted()) << "nobody has asked";
  EXPECT_EQ(late.submit(2, {}), Code::kQueueFull);
  EXPECT_EQ(hoards.woken, woken + 1);
  ASSERT_TRUE(hoards.give_back_if_wanted());
  EXPECT_FALSE(hoards.give_back_if_wanted()) << "asked once, given once";
  ASSERT_EQ(late.submit(2, {}), Code::kOk);
  EXPECT_EQ(late.drain().size(), 1u);
  // What is not the port's own, or not idle, stays where it is.
  const uint32_t slot = late.free.back().first, generation = late.free.back().second;
  hoards.port->give_back(&slot, &generation, 1);
  EXPECT_EQ(late.submit(3, {}), Code::kOk);
  EXPECT_EQ(late.drain().size(), 1u);
  for (Client* client : {&hoards, &running, &late}) client->close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, a_slot_that_is_queued_or_running_cannot_be_submitted_again) {
  Fixture fixture(batching(), {{"busy_us", "5000"}});
  Client client(fixture.core);
  Submission submission;
  ASSERT_TRUE(client.lease(&submission));
  std::string message;
  ASSERT_EQ(client.port->submit(submission, &message), Code::kOk);
  EXPECT_EQ(client.port->submit(submission, &message), Code::kSlotReleased);
  EXPECT_EQ(client.port->run_sync(submission, &message), Code::kSlotReleased);
  uint64_t offset = 0;
  EXPECT_EQ(client.port->allocate(submission.slot, submission.generation, 0, 64, &offset, &message),
            Code::kSlotReleased);
  EXPECT_EQ(client.drain().size(), 1u);
  client.close();
}

TEST(Core, parts_that_nobody_read_are_freed_with_their_port) {
  CoreOptions options = batching();
  options.decoupled = true;
  Fixture fixture(std::move(options), {{"parts", "200"}});
  const uint64_t before = fixture.core->slab().used();
  Client stays(fixture.core);
  {
    Client goes(fixture.core);
    ASSERT_EQ(goes.submit(5, {}), Code::kOk);
    std::this_thread::sleep_for(5ms);  // out of credit now
    goes.close();
  }
  const auto until = monotonic_ns() + 5'000'000'000;
  while (fixture.core->slab().used() != before && monotonic_ns() < until) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(fixture.core->slab().used(), before);
  stays.close();
}

TEST(Core, each_level_has_a_limit_of_its_own_and_a_cancel_makes_room_at_once) {
  CoreOptions options = batching();
  options.batch.dynamic = false;
  options.batch.levels.resize(2);
  options.batch.levels[0].max_queue_size = 2;
  options.batch.levels[1].max_queue_size = 3;
  options.batch.default_level = 2;
  Gate gate;
  Fixture fixture(gate.model(), std::move(options));
  Client client(fixture.core);
  ASSERT_EQ(client.submit(0, {}), Code::kOk);
  gate.wait_until_running();
  Submission urgent;
  urgent.priority = 1;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(client.submit(1, urgent), Code::kOk);
  EXPECT_EQ(client.submit(1, urgent), Code::kQueueFull);
  uint32_t slot = 0;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.submit(2, {}, &slot), Code::kOk);
  EXPECT_EQ(client.submit(2, {}), Code::kQueueFull);
  EXPECT_TRUE(client.port->cancel(slot, 0));
  EXPECT_EQ(client.submit(3, {}), Code::kOk);
  EXPECT_EQ(client.submit(3, {}), Code::kQueueFull);
  gate.open = true;
  client.close();
  fixture.core.reset();
  EXPECT_TRUE(fixture.ended());
}

TEST(Core, a_queue_timeout_rejects_or_puts_behind_the_others_as_its_level_says) {
  for (const bool delays : {false, true}) {
    CoreOptions options = batching();
    options.batch.dynamic = false;
    options.batch.levels[0].timeout_ns = 60'000'000'000;
    options.batch.levels[0].allow_timeout_override = true;
    options.batch.levels[0].timeout_delays = delays;
    Gate gate;
    Fixture fixture(gate.model(), std::move(options));
    Client client(fixture.core);
    ASSERT_EQ(client.submit(0, {}), Code::kOk);
    gate.wait_until_running();
    Submission impatient;
    impatient.timeout_in_ns = 1'000'000;
    ASSERT_EQ(client.submit(1, impatient), Code::kOk);
    Submission longest;
    longest.timeout_in_ns = INT64_MAX;  // longer than the level's: does not count
    ASSERT_EQ(client.submit(2, longest), Code::kOk);
    std::vector<Client::Result> results;
    if (delays) {
      std::this_thread::sleep_for(5ms);
    } else {
      results = client.drain(5000ms, 1);  // while the instance is busy
    }
    gate.open = true;
    for (auto& result : client.drain(5000ms, 3 - results.size())) results.push_back(std::move(result));
    ASSERT_EQ(results.size(), 3u);
    if (delays) {
      EXPECT_EQ(results[1].value, 2);
      EXPECT_EQ(results[2].value, 1);
    } else {
      EXPECT_EQ(results[0].status, Code::kDeadlineExceeded);
    }
    client.close();
    fixture.core.reset();
    EXPECT_TRUE(fixture.ended());
  }
}

TEST(Core, with_preserve_ordering_results_come_in_the_order_of_submission) {
  for (const char* completion : {"sync", "async"}) {
    CoreOptions options = batching(4);
    options.instances = 3;
    options.batch.preserve_ordering = true;
    Fixture fixture(std::move(options), {{"completion", completion}, {"busy_us_per_row", "20"}});
    Client client(fixture.core);
    float next = 0;
    int sent = 0;
    const auto settle = [&](const std::vector<Client::Result>& results) {
      for (const auto& result : results) ASSERT_EQ(result.value, next++) << completion;
    };
    while (sent < 500) {
      if (client.submit(static_cast<float>(sent), {}) == Code::kOk) ++sent;
      if (sent % 17 == 0) settle(client.drain(0ms));
    }
    while (next < 500) {
      const auto results = client.drain(5000ms);
      ASSERT_FALSE(results.empty());
      settle(results);
    }
    client.close();
  }
}

TEST(Core, the_null_engine_fails_each_nth_request_and_only_that) {
  Fixture fixture(batching(), {{"fail_every", "5"}});
  Client client(fixture.core);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(client.submit(1, {}), Code::kOk);
  const auto results = client.drain(2000ms, 50);
  ASSERT_EQ(results.size(), 50u);
  EXPECT_EQ(std::count_if(results.begin(), results.end(), [](const auto& r) { return r.status != Code::kOk; }), 10);
  client.close();
}

TEST(Core, requests_that_expire_by_the_clock_leave_no_instance_asleep) {
  // The timekeeper drains the inbox in their place: an instance that parks meanwhile must still be woken.
  for (const char* completion : {"sync", "async"}) {
    CoreOptions options = batching(2);
    Fixture fixture(std::move(options), {{"completion", completion}, {"busy_us", "30"}});
    Client client(fixture.core);
    std::mt19937 random(3);
    size_t sent = 0, seen = 0;
    for (int i = 0; i < 4000; ++i) {
      Submission submission;
      submission.deadline_in_ns = 20'000 + random() % 60'000;
      sent += client.submit(1, submission) == Code::kOk ? 1 : 0;
      sent += client.submit(1, {}) == Code::kOk ? 1 : 0;
      if (i % 4 == 3) {
        while (seen < sent) {
          const auto results = client.drain(3000ms);
          ASSERT_FALSE(results.empty()) << completion << ": " << sent - seen << " requests are lost";
          seen += results.size();
        }
      }
    }
    client.close();
  }
}

}  // namespace
}  // namespace subten
