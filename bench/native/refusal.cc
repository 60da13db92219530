// What does native code pay to refuse a request, beside accepting one?
//
//   refusal ROUNDS     →  {"accept_ns":[…],"refuse_ns":[…]}, nanoseconds a call of Port::submit, by round
//
// The null engine computes for a while, so that nothing leaves the queue; then the queue is filled (accepting), and
// submitted to while it is full (refusing). No thread sleeps meanwhile, so accepting wakes nobody: its cheapest case.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "executor/model_core.h"
#include "metrics/clock.h"
#include "print_rounds.h"

namespace {

using subten::Code;

constexpr uint32_t kQueue = 1024;
constexpr uint32_t kTimed = kQueue - 64;

void fail(const char* why) {
  std::fprintf(stderr, "refusal: %s\n", why);
  std::exit(1);
}

std::shared_ptr<subten::Port> open_port() {
  subten::CoreOptions options;
  options.batch.max_batch_size = 64;
  options.batch.dynamic = true;
  options.max_queue_size = options.batch.levels[0].max_queue_size = kQueue;
  subten::EngineOptions engine;
  engine.parameters = {{"busy_us", "10000"}};
  engine.config_inputs = {{"input", subten::DataType::kFp32, {-1, 64}}};
  engine.config_outputs = {{"output", subten::DataType::kFp32, {-1, 64}}};
  engine.max_batch_size = 64;
  std::unique_ptr<subten::EngineModel> model;
  if (!subten::find_engine("null")->open(engine, &model).is_ok()) fail("the null engine does not open");
  std::shared_ptr<subten::ModelCore> core;
  if (!subten::ModelCore::create(std::move(model), std::move(options), &core).is_ok()) fail("no core");
  std::shared_ptr<subten::Port> port;
  if (!subten::Port::create(
           core, [](void*) {}, nullptr, &port)
           .is_ok())
    fail("no port");
  return port;
}

class Client {
 public:
  explicit Client(subten::Port* port) : port_(port) {}

  Code submit(size_t which) {
    subten::Submission submission;
    submission.slot = slots_[which].first;
    submission.generation = slots_[which].second;
    return port_->submit(submission, &message_);
  }
  // Takes slots until there are `count`.
  void lease(size_t count) {
    while (slots_.size() < count) {
      uint32_t slot, generation;
      if (port_->lease(&slot, &generation, 1) == 0) fail("too few slots");
      slots_.emplace_back(slot, generation);
    }
  }
  // Waits for the results of the first `count` slots, which then have their next generation.
  void finish(size_t count) {
    for (size_t ended = 0; ended < count;) {
      const int32_t taken = port_->take(64);
      ended += static_cast<size_t>(taken);
      if (taken == 0) pause();
    }
    port_->take(0);
    for (size_t i = 0; i < count; ++i) ++slots_[i].second;
  }
  void pause() {
    const timespec little{0, 100'000};
    nanosleep(&little, nullptr);
  }

 private:
  subten::Port* port_;
  std::vector<std::pair<uint32_t, uint32_t>> slots_;
  std::string message_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: refusal ROUNDS\n"), 2;
  const auto port = open_port();
  Client client(port.get());
  client.lease(2 * kQueue);
  std::vector<double> accept, refuse;
  const size_t rounds = static_cast<size_t>(std::atoi(argv[1]));
  for (size_t attempt = 0; refuse.size() < rounds; ++attempt) {
    if (attempt == 10 * rounds + 1) fail("the queue never stayed full for long enough: is the machine very busy?");
    // The engine takes the first ones when it gets to it, so how many it takes to fill the queue is not known.
    size_t accepted = 0;
    if (client.submit(accepted++) != Code::kOk) fail("an idle model refuses");
    client.pause();
    const int64_t start = subten::monotonic_ns();
    for (uint32_t i = 0; i < kTimed; ++i) {
      if (client.submit(accepted++) != Code::kOk) fail("refused before the queue was full");
    }
    const int64_t timed = subten::monotonic_ns();
    while (accepted < 2 * kQueue - 1 && client.submit(accepted) == Code::kOk) ++accepted;
    const int64_t full = subten::monotonic_ns();
    uint32_t refused = 0;
    while (refused < kTimed && client.submit(accepted) == Code::kQueueFull) ++refused;
    const int64_t over = subten::monotonic_ns();
    // A batch left the queue meanwhile: the round does not count.
    if (refused < kTimed) {
      ++accepted;
    } else if (attempt > 0) {
      accept.push_back(static_cast<double>(timed - start) / kTimed);
      refuse.push_back(static_cast<double>(over - full) / kTimed);
    }
    client.finish(accepted);
  }
  port->close();
  std::printf("{");
  print_rounds("accept_ns", accept);
  std::printf(",");
  print_rounds("refuse_ns", refuse);
  std::printf("}\n");
}
