// A core over the null engine, and an environment that talks to it through a port, for tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "executor/model_core.h"

namespace subten {

using namespace std::chrono_literals;

struct Fixture {
  // Over any engine model.
  Fixture(std::unique_ptr<EngineModel> model, CoreOptions options) { create(std::move(model), std::move(options)); }
  explicit Fixture(CoreOptions options = {}, std::vector<std::pair<std::string, std::string>> parameters = {},
                   Shape shape = {-1, 64}, DataType type = DataType::kFp32) {
    EngineOptions engine;
    engine.parameters = std::move(parameters);
    engine.config_inputs = {{"input", type, shape}};
    engine.config_outputs = {{"output", type, shape}};
    engine.max_batch_size = static_cast<int32_t>(options.batch.max_batch_size);
    std::unique_ptr<EngineModel> model;
    EXPECT_TRUE(find_engine("null")->open(engine, &model).is_ok());
    create(std::move(model), std::move(options));
  }
  void create(std::unique_ptr<EngineModel> model, CoreOptions options) {
    Status status = ModelCore::create(std::move(model), std::move(options), &core);
    ASSERT_TRUE(status.is_ok()) << status.message;
    end = core->end();
  }
  bool ended() const {
    std::unique_lock lock(end->mutex);
    return end->changed.wait_for(lock, 5s, [this] { return end->done; });
  }
  std::shared_ptr<ModelCore> core;
  std::shared_ptr<CoreEnd> end;
};

inline CoreOptions batching(uint32_t rows = 8) {
  CoreOptions options;
  options.batch.max_batch_size = rows;
  options.batch.dynamic = true;
  options.memory_bytes = 4 << 20;
  options.max_queue_size = options.batch.levels[0].max_queue_size = 256;  // few enough slots for home rows
  return options;
}

// An environment: leases, submits, drains; its thread sleeps on the wake counter.
struct Client {
  explicit Client(const std::shared_ptr<ModelCore>& core) {
    EXPECT_TRUE(Port::create(
                    core, [](void* self) { static_cast<Client*>(self)->woken.fetch_add(1); }, this, &port)
                    .is_ok());
  }
  bool lease(Submission* submission) {
    if (free.empty()) {
      uint32_t slots[64], generations[64];
      const uint32_t count = port->lease(slots, generations, 64);
      for (uint32_t i = 0; i < count; ++i) free.emplace_back(slots[i], generations[i]);
    }
    if (free.empty()) return false;
    std::tie(submission->slot, submission->generation) = free.back();
    free.pop_back();
    return true;
  }
  // One row whose first element is `value`.
  Code submit(float value, Submission submission, uint32_t* slot = nullptr) {
    if (!lease(&submission)) return Code::kQueueFull;
    EXPECT_LT(submission.slot, port->core().home_slots());
    auto* row = reinterpret_cast<float*>(port->core().slab().data() + port->core().home_offset(0) +
                                         submission.slot * port->core().row_bytes(0));
    std::fill(row, row + 64, value);
    std::string message;
    const Code code = port->submit(submission, &message);
    if (code != Code::kOk) free.emplace_back(submission.slot, submission.generation);
    if (slot != nullptr) *slot = submission.slot;
    return code;
  }
  // What an environment does when another port is out of slots.
  bool give_back_if_wanted() {
    if (std::atomic_ref(port->shown()[Port::kWanted]).load(std::memory_order_relaxed) == 0) return false;
    std::vector<uint32_t> slots, generations;
    for (const auto& [slot, generation] : free) {
      slots.push_back(slot);
      generations.push_back(generation);
    }
    free.clear();
    port->give_back(slots.data(), generations.data(), static_cast<uint32_t>(slots.size()));
    return true;
  }
  // The environment goes: what it did not read goes with it.
  void close() {
    port->close();
    port.reset();
  }
  struct Result {
    uint32_t slot;
    uint32_t generation;
    CompletionKind kind;
    Code status;
    float value;
    uint32_t batch_rows;
    BatchReason reason;
    std::string message;
  };
  std::vector<Result> drain(std::chrono::milliseconds patience = 2000ms, size_t wanted = 1) {
    std::vector<Result> results;
    const auto until = std::chrono::steady_clock::now() + patience;
    do {
      uint32_t count = port->take(64);
      while (count > 0) {
        for (uint32_t i = 0; i < count; ++i) {
          const uint32_t record = port->taken()[i];
          const RecordHeader* header = port->header(record);
          Result result{header->slot,
                        header->generation,
                        static_cast<CompletionKind>(header->kind),
                        static_cast<Code>(header->status),
                        NAN,
                        header->batch_rows,
                        static_cast<BatchReason>(header->reason),
                        {}};
          if (result.kind == CompletionKind::kError) result.message = port->error_message(record);
          const OutputRef* output = port->output(record, 0);
          if (result.kind != CompletionKind::kError && output != nullptr) std::memcpy(&result.value, output->data, 4);
          if (result.kind != CompletionKind::kPartial) free.emplace_back(result.slot, result.generation + 1);
          results.push_back(result);
        }
        count = port->take(64);
      }
      if (results.size() >= wanted) break;
      std::this_thread::sleep_for(100us);
    } while (std::chrono::steady_clock::now() < until);
    return results;
  }
  std::shared_ptr<Port> port;
  std::deque<std::pair<uint32_t, uint32_t>> free;
  std::atomic<uint64_t> woken{0};
};

}  // namespace subten
