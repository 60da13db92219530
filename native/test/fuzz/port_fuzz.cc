// Everything that JS hands to native code: settings of a model, and any sequence of port calls with any values, over
// the null engine. Whatever comes: each accepted request ends exactly once, and in the end every slot and every byte of
// the slab is back.

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "executor/model_core.h"
#include "fuzz_bytes.h"

namespace subten {
namespace {

using Clock = std::chrono::steady_clock;

// Waits for a condition that must come true.
template <typename Condition>
void come_true(const char* what, Condition condition) {
  const auto until = Clock::now() + std::chrono::seconds(30);
  for (int tries = 0; !condition(); ++tries) {
    must(Clock::now() < until, what);
    if (tries > 50) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

EngineOptions engine_options(FuzzBytes& in, int32_t max_batch_size) {
  EngineOptions options;
  options.max_batch_size = max_batch_size;
  const uint32_t inputs = 1 + in.below(3);
  for (uint32_t i = 0; i < inputs; ++i) {
    TensorSpec tensor;
    tensor.name = std::to_string(i);
    tensor.type = in.flag() ? DataType::kFp32 : static_cast<DataType>(in.below(kDataTypeCount));
    const uint32_t rank = in.below(4);
    if (max_batch_size > 0 || in.byte() < 20) tensor.shape.push_back(-1);
    for (uint32_t d = 0; d < rank; ++d) tensor.shape.push_back(in.flag() ? 16 * (1 + in.below(8)) : -1);
    tensor.optional = in.byte() < 40;
    tensor.ragged = in.byte() < 40;
    options.config_inputs.push_back(tensor);
  }
  options.config_outputs = options.config_inputs;
  const auto set = [&](const char* name, uint32_t value) {
    options.parameters.emplace_back(name, std::to_string(value));
  };
  if (in.byte() < 60) set("fail_every", 1 + in.below(4));
  if (in.byte() < 60) set("parts", in.below(100));
  if (in.byte() < 60) set("busy_us", in.below(60));
  if (in.byte() < 80) options.parameters.emplace_back("completion", "async");
  return options;
}

CoreOptions core_options(FuzzBytes& in, uint32_t max_batch_size) {
  CoreOptions options;
  options.batch.max_batch_size = max_batch_size;
  options.instances = 1 + in.below(3);
  if (in.byte() < 5) options.instances = in.take<uint32_t>();
  options.wake = static_cast<WakeMode>(in.below(3));
  options.memory_bytes = in.byte() < 10 ? in.take<uint64_t>() >> 32 : (1 + in.below(64)) * 4096;
  if (options.memory_bytes > 8 << 20) options.memory_bytes = 8 << 20;
  // Many slots are legal and slow; rarely.
  const auto queue_size = [&] { return in.byte() < 250 ? in.below(64) : in.number(64); };
  options.max_queue_size = queue_size();
  options.poison = in.flag();
  options.decoupled = in.flag();
  options.batch.dynamic = in.flag();
  options.batch.max_queue_delay_ns = in.flag() ? 0 : in.take<int64_t>() >> in.below(64);
  options.batch.preserve_ordering = in.byte() < 60;
  options.batch.levels.assign(in.byte() < 10 ? in.below(3) : 1 + in.below(3), LevelPolicy{});
  options.batch.default_level = in.byte() < 10 ? in.number(4) : 1;
  for (LevelPolicy& level : options.batch.levels) {
    level.max_queue_size = queue_size();
    level.timeout_ns = in.flag() ? 0 : in.take<int64_t>() >> in.below(64);
    level.timeout_delays = in.flag();
    level.allow_timeout_override = in.flag();
  }
  const uint32_t preferred = in.below(4);
  for (uint32_t i = 0; i < preferred; ++i) options.batch.preferred.push_back(in.number(16));
  return options;
}

// One environment, with what it knows.
struct Environment {
  std::shared_ptr<Port> port;
  std::map<uint32_t, uint32_t> accepted;  // slot → generation of requests that have not ended yet
  std::vector<std::pair<uint32_t, uint32_t>> known;

  std::pair<uint32_t, uint32_t> slot(FuzzBytes& in) const {
    if (known.empty() || in.byte() < 8) return {in.number(70), in.number(3)};
    auto chosen = known[in.byte() % known.size()];
    if (in.byte() < 20) chosen.second += in.below(3) - 1;
    return chosen;
  }
  void lease(uint32_t limit) {
    std::array<uint32_t, 64> slots, generations;
    const uint32_t count = port->lease(slots.data(), generations.data(), limit);
    for (uint32_t i = 0; i < count; ++i) known.emplace_back(slots[i], generations[i]);
    while (known.size() > 200) known.erase(known.begin());
  }
  void take(uint32_t limit, bool polling) {
    if (polling) port->look();
    const uint32_t count = port->take(limit);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t record = port->taken()[i];
      if (record >= port->part_base()) {
        port->output(record, 0);
        continue;
      }
      // The record itself may hold garbage of ours.
      const uint32_t generation = port->core().descriptor(record).generation;
      const auto found = accepted.find(record);
      must(found != accepted.end() && found->second == generation, "a request ended that was not under way");
      accepted.erase(found);
      port->error_message(record);
      port->output(record, 0);
      known.emplace_back(record, generation + 1);
      known.emplace_back(record, generation);  // a claimed slot keeps it until it is released
    }
  }
  void cancel(uint32_t slot, uint32_t generation) {
    if (!port->cancel(slot, generation)) return;
    const auto found = accepted.find(slot);
    must(found != accepted.end() && found->second == generation, "a request was cancelled that was not under way");
    accepted.erase(found);
  }
  // Everything that was accepted ends, one way or the other.
  void settle(bool give_up) {
    if (give_up) {
      const auto pending = accepted;
      for (const auto& [slot, generation] : pending) cancel(slot, generation);
    }
    come_true("an accepted request never ended", [&] {
      take(64, false);
      return accepted.empty();
    });
    take(0, false);
    must(port->in_flight() == 0, "something counts as in flight after everything ended");
  }
};

void stage(FuzzBytes& in, Port& port) {
  const ModelSpec& spec = port.core().spec();
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    StagedInput& staged = port.staging()[i];
    staged.present = in.byte() < 20 ? 0 : 1;
    staged.rank = static_cast<double>(spec.inputs[i].shape.size());
    staged.bytes = in.number(200);
    for (size_t d = 0; d < kMaxRank; ++d) {
      const bool fixed = d < spec.inputs[i].shape.size() && spec.inputs[i].shape[d] >= 0;
      staged.shape[d] = fixed ? static_cast<double>(spec.inputs[i].shape[d]) : in.below(4);
    }
    if (in.byte() < 30) reinterpret_cast<double*>(&staged)[in.below(sizeof staged / 8)] = in.take<double>();
  }
}

void submit(FuzzBytes& in, Environment& environment, bool sync) {
  Port& port = *environment.port;
  Submission submission;
  std::tie(submission.slot, submission.generation) = environment.slot(in);
  submission.rows = in.flag() ? 1 : in.number(4);
  submission.priority = in.byte() < 128 ? 0 : in.number(4);
  if (in.byte() < 80) submission.deadline_in_ns = in.take<int64_t>() >> in.below(64);
  if (in.byte() < 80) submission.timeout_in_ns = in.take<int64_t>() >> in.below(64);
  submission.staged = in.flag();
  submission.is_explicit = in.byte() < 80;
  if (submission.staged) stage(in, port);
  if (submission.staged && in.byte() < 230) {
    for (uint32_t i = 0; i < port.core().spec().inputs.size(); ++i) {
      uint64_t offset = 0;
      std::string message;
      if (port.allocate(submission.slot, submission.generation, i, 64 * (1 + in.below(32)), &offset, &message) !=
          Code::kOk)
        continue;
      must(offset < port.core().slab().size(), "an extent outside the slab");
      // Lengths of strings that hold, or lie.
      auto* data = port.core().slab().data() + offset;
      for (uint32_t word = 0; word < 8; ++word) {
        const uint32_t value = in.byte() < 220 ? in.below(8) : in.take<uint32_t>();
        std::memcpy(data + word * 4, &value, sizeof value);
      }
    }
  }
  std::string message;
  if (sync) {
    if (port.run_sync(submission, &message) == Code::kOk) port.output(port.sync_record(), in.below(4));
    return;
  }
  if (port.submit(submission, &message) != Code::kOk) return;
  must(environment.accepted.emplace(submission.slot, submission.generation).second, "a slot was accepted twice");
}

void call(FuzzBytes& in, Environment& environment) {
  Port& port = *environment.port;
  ModelCore& core = port.core();
  switch (in.below(16)) {
    case 0:
      return environment.lease(1 + in.below(64));
    case 1: {
      const auto [slot, generation] = environment.slot(in);
      uint64_t offset = 0;
      std::string message;
      const uint64_t bytes = in.flag() ? in.number(4096) : in.take<uint64_t>();
      if (port.allocate(slot, generation, in.number(3), bytes, &offset, &message) == Code::kOk) {
        must(offset + bytes <= core.slab().size(), "an extent outside the slab");
      }
      return;
    }
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
      return submit(in, environment, false);
    case 7:
      return submit(in, environment, true);
    case 8:
    case 9:
      return environment.take(in.number(8), in.flag());
    case 10: {
      const auto [slot, generation] = environment.slot(in);
      return environment.cancel(slot, generation);
    }
    case 11: {
      const auto [slot, generation] = environment.slot(in);
      environment.known.emplace_back(slot, port.release(slot, generation));
      return;
    }
    case 12: {
      const auto [slot, generation] = environment.slot(in);
      return port.abandon(slot, generation);
    }
    case 13: {
      const uint32_t record = in.number(70);
      if (const OutputRef* output = port.output(record, in.number(3)); output != nullptr && output->bytes > 0) {
        must(output->data != nullptr, "an output without data");
        volatile std::byte last = output->data[output->bytes - 1];
        (void)last;
      }
      must(std::strlen(port.error_message(record)) < 4096, "a message without an end");
      return;
    }
    case 14: {
      // What JS has views on.
      const uint8_t garbage = in.byte();
      const uint32_t places = in.byte();
      if ((places & 1) != 0) std::memset(port.shown(), garbage, Port::kTakeLimit * sizeof(uint32_t));
      if ((places & 2) != 0) {
        std::memset(port.staging(), garbage, sizeof(StagedInput) * core.spec().inputs.size());
      }
      return;
    }
    default:
      if (in.flag()) core.reset_stats();
      port.release_sync();
      return;
  }
}

void run(FuzzBytes in) {
  const uint32_t max_batch_size = in.byte() < 40 ? 0 : in.number(16);
  std::unique_ptr<EngineModel> model;
  const EngineOptions engine = engine_options(in, static_cast<int32_t>(max_batch_size & INT32_MAX));
  if (!find_engine("null")->open(engine, &model).is_ok()) return;
  CoreOptions options = core_options(in, max_batch_size & INT32_MAX);
  // More would be legal and only slow.
  if (options.batch.max_batch_size > 64) options.batch.max_batch_size = 64;
  std::shared_ptr<ModelCore> core;
  if (!ModelCore::create(std::move(model), std::move(options), &core).is_ok()) return;
  const std::shared_ptr<CoreEnd> end = core->end();
  const uint64_t used = core->slab().used();
  const auto open = [&](std::shared_ptr<Port>* port) {
    must(Port::create(
             core, [](void*) {}, nullptr, port)
             .is_ok(),
         "a port could not be opened");
  };
  std::shared_ptr<Port> keeper;  // keeps the core while the others come and go
  open(&keeper);
  std::array<Environment, 2> environments;
  for (uint32_t calls = 0; !in.empty() && calls < 400; ++calls) {
    const uint8_t which = in.byte();
    Environment& environment = environments[which & 1];
    if (!environment.port) {
      environment = {};
      open(&environment.port);
      environment.lease(8);
    }
    if (which >= 250) {  // the environment ends, with whatever is under way
      environment.port->close();
      environment.port.reset();
      continue;
    }
    call(in, environment);
  }
  for (Environment& environment : environments) {
    if (!environment.port) continue;
    // A batch may wait for company for centuries, by its settings.
    environment.settle(core->options().batch.max_queue_delay_ns > 1'000'000);
    environment.port->close();
    environment.port.reset();
  }
  come_true("memory of the slab was lost", [&] { return core->slab().used() == used; });
  uint32_t slots = 0;
  come_true("a slot was lost", [&] {
    std::array<uint32_t, 256> some, generations;
    slots += keeper->lease(some.data(), generations.data(), 256);
    must(slots <= core->slots(), "a slot came back twice");
    return slots == core->slots();
  });
  keeper->close();
  keeper.reset();
  core.reset();
  std::unique_lock lock(end->mutex);
  must(end->changed.wait_for(lock, std::chrono::seconds(30), [&] { return end->done; }), "the core never ended");
}

}  // namespace
}  // namespace subten

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  subten::run({data, size});
  return 0;
}
