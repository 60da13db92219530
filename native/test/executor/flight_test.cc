// The flight recorder in a core: what is kept of a slow request.
#include <gtest/gtest.h>

#include "test/executor/null_core.h"

namespace subten {
namespace {

std::vector<SlowRequest> kept(ModelCore& core) {
  std::vector<SlowRequest> list;
  core.flight().slow.read(0, &list);
  return list;
}

TEST(Flight, a_request_behind_another_batch_knows_its_batch_and_the_one_before) {
  Fixture fixture(batching(1), {{"busy_us", "20000"}});
  fixture.core->flight().set_limit(30'000'000);
  Client client(fixture.core);
  ASSERT_EQ(client.submit(1, {}), Code::kOk);
  ASSERT_EQ(client.submit(2, {}), Code::kOk);
  ASSERT_EQ(client.drain(5000ms, 2).size(), 2u);
  client.port->take(0);
  const auto list = kept(*fixture.core);
  ASSERT_GE(list.size(), 1u);
  const SlowRequest& second = list.back();
  EXPECT_EQ(second.batch.number, 2u);
  EXPECT_EQ(second.batch.rows, 1u);
  EXPECT_GE(second.batch.end_ns - second.batch.start_ns, 20'000'000);
  ASSERT_EQ(second.previous_count, 1u);
  EXPECT_EQ(second.previous[0].number, 1u);
  EXPECT_GT(second.behind_ns, 10'000'000);
  EXPECT_LE(second.behind_ns, second.dispatch_ns - second.submit_ns);
  EXPECT_GE(second.total_ns(), 30'000'000);
  EXPECT_EQ(client.port->shown()[Port::kSlowKept], list.size());
  client.close();
}

TEST(Flight, mates_of_a_batch_are_named) {
  Fixture fixture(batching(8), {{"busy_us", "5000"}});
  fixture.core->flight().set_limit(1);
  Client client(fixture.core);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(client.submit(static_cast<float>(i), {}), Code::kOk);
  ASSERT_EQ(client.drain(5000ms, 5).size(), 5u);
  client.port->take(0);
  const auto list = kept(*fixture.core);
  ASSERT_EQ(list.size(), 5u);
  uint32_t most = 0;
  for (const SlowRequest& each : list) {
    EXPECT_LE(each.mate_count, each.batch.requests - 1);
    most = std::max(most, each.mate_count);
    for (uint32_t i = 0; i < each.mate_count; ++i) EXPECT_NE(each.mates[i].slot, each.slot);
  }
  EXPECT_GE(most, 1u);
  client.close();
}

TEST(Flight, requests_that_expire_or_fail_are_kept_however_fast_they_were) {
  Fixture fixture(batching(1), {{"busy_us", "20000"}, {"fail_every", "1"}});
  Client client(fixture.core);
  ASSERT_EQ(client.submit(1, {}), Code::kOk);
  while (fixture.core->running().batches == 0) std::this_thread::sleep_for(100us);
  Submission soon;
  soon.deadline_in_ns = 2'000'000;
  ASSERT_EQ(client.submit(2, soon), Code::kOk);
  ASSERT_EQ(client.drain(5000ms, 2).size(), 2u);
  client.port->take(0);
  int failed = 0, expired = 0;
  for (const SlowRequest& each : kept(*fixture.core)) {
    if (each.outcome == SlowOutcome::kFailed) ++failed;
    if (each.outcome != SlowOutcome::kExpired) continue;
    ++expired;
    EXPECT_EQ(each.batch.number, 0u);
    EXPECT_GT(each.behind_ns, 0) << "the batch that still runs";
  }
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(expired, 1);
  client.close();
}

TEST(Flight, nothing_is_kept_or_written_when_it_is_off) {
  Fixture fixture(batching(1), {{"busy_us", "1000"}});
  fixture.core->flight().set_limit(-1);
  Client client(fixture.core);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(client.submit(1, {}), Code::kOk);
    ASSERT_EQ(client.drain().size(), 1u);
  }
  client.port->take(0);
  EXPECT_TRUE(kept(*fixture.core).empty());
  EXPECT_EQ(fixture.core->flight().batches.latest(), 0u);
  client.close();
}

TEST(Flight, what_js_writes_into_a_record_does_no_harm) {
  Fixture fixture(batching(1), {{"busy_us", "1000"}});
  fixture.core->flight().set_limit(1);
  Client client(fixture.core);
  ASSERT_EQ(client.submit(1, {}), Code::kOk);
  uint32_t count = 0;
  while ((count = client.port->take(1)) == 0) std::this_thread::sleep_for(1ms);
  RecordHeader* header = client.port->header(client.port->taken()[0]);
  header->batch = NAN;
  header->submit_ns = -1e300;
  header->end_ns = INFINITY;
  client.port->take(0);
  EXPECT_LE(kept(*fixture.core).size(), 1u);
  client.close();
}

TEST(Flight, environments_with_slow_requests_and_readers_do_not_disturb_each_other) {
  CoreOptions options = batching(4);
  options.instances = 2;
  Fixture fixture(options, {{"busy_us", "50"}});
  fixture.core->flight().set_limit(1);
  std::atomic<bool> over{false};
  const auto work = [&] {
    Client client(fixture.core);
    for (int i = 0; i < 300; ++i) {
      for (int j = 0; j < 4; ++j) client.submit(1, {});
      client.drain(2000ms, 4);
    }
    client.close();
  };
  const auto core = fixture.core;
  Client holder(core);
  std::thread reader([&] {
    while (!over.load()) {
      for (const SlowRequest& each : kept(*core)) ASSERT_LE(each.previous_count, SlowRequest::kPrevious);
      std::this_thread::sleep_for(1ms);
    }
  });
  std::thread one(work), other(work);
  one.join();
  other.join();
  over = true;
  reader.join();
  EXPECT_FALSE(kept(*core).empty());
  holder.close();
}

}  // namespace
}  // namespace subten
