// The n-th allocation fails, for every n, from opening a model to closing it: every call answers with a status, every
// accepted request ends exactly once, nothing is lost or leaked, and the process lives.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "executor/model_core.h"
#include "executor/process_state.h"
#include "failing_memory.h"
#include "test/executor/scripted_model.h"

namespace subten {
namespace {

using namespace std::chrono_literals;

// Waits for what must come true; false after a time that only something lost can take.
template <typename Condition>
bool comes_true(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(50us);
  }
  return true;
}

// A model, opened: may throw std::bad_alloc, as engines may.
using Open = std::function<Status(std::unique_ptr<EngineModel>*)>;

// What one environment does, without allocating anything itself.
struct Requests {
  Port* port = nullptr;
  std::array<uint32_t, 64> slots{}, generations{};
  std::array<bool, 1 << 12> under_way{};
  uint32_t leased = 0, next = 0, accepted = 0, ended = 0;
  std::string message;

  bool slot(Submission* submission) {
    if (next == leased) return false;
    submission->slot = slots[next];
    submission->generation = generations[next++];
    return true;
  }
  void submit(Submission submission, uint64_t staged_bytes) {
    if (!slot(&submission)) return;
    if (staged_bytes > 0) {
      submission.staged = true;
      const size_t inputs = port->core().spec().inputs.size();
      for (uint32_t i = 0; i < inputs; ++i) {
        uint64_t offset = 0;
        const Code code = port->allocate(submission.slot, submission.generation, i, staged_bytes, &offset, &message);
        if (code != Code::kOk) {
          EXPECT_TRUE(code == Code::kQueueFull || code == Code::kOutOfMemory) << static_cast<int>(code);
          return port->abandon(submission.slot, submission.generation);
        }
        StagedInput& input = port->staging()[i];
        const Shape& shape = port->core().spec().inputs[i].shape;
        input = {1, 0, static_cast<double>(shape.size()), {static_cast<double>(submission.rows)}};
        for (size_t d = 1; d < shape.size(); ++d) input.shape[d] = static_cast<double>(shape[d]);
      }
    }
    const Code code = port->submit(submission, &message);
    if (code != Code::kOk) return port->abandon(submission.slot, submission.generation);
    EXPECT_FALSE(under_way[submission.slot]);
    under_way[submission.slot] = true;
    ++accepted;
  }
  void end(uint32_t slot) {
    EXPECT_TRUE(under_way[slot]) << "it ended twice";
    under_way[slot] = false;
    ++ended;
  }
  void drain() {
    EXPECT_TRUE(comes_true([&] {
      const uint32_t count = port->take(64);
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t record = port->taken()[i];
        if (record >= port->part_base()) continue;
        const RecordHeader* header = port->header(record);
        if (header->kind == static_cast<uint32_t>(CompletionKind::kError)) {
          EXPECT_NE(header->status, 0u);
          if (header->status != static_cast<uint32_t>(Code::kDeadlineExceeded)) {  // the environment has that sentence
            EXPECT_STRNE(port->error_message(record), "");
          }
        }
        end(record);
      }
      return ended == accepted;
    })) << "an accepted request never ended";
    port->take(0);
  }
};

void use(const std::shared_ptr<ModelCore>& core, uint64_t staged_bytes) {
  std::shared_ptr<Port> port;
  std::shared_ptr<Port> other;
  const auto wake = [](void*) {};
  Status status = Port::create(core, wake, nullptr, &port);
  if (!status.is_ok()) {
    EXPECT_EQ(status.code, Code::kOutOfMemory);
    return;
  }
  status = Port::create(core, wake, nullptr, &other);
  EXPECT_TRUE(status.is_ok() || status.code == Code::kOutOfMemory);
  Requests requests;
  requests.port = port.get();
  requests.leased = port->lease(requests.slots.data(), requests.generations.data(), 32);
  Submission plain;
  const uint64_t usual = core->home_slots() > 0 ? 0 : staged_bytes;
  for (int i = 0; i < 6; ++i) requests.submit(plain, usual);
  Submission rows = plain;
  if (core->batches()) rows.rows = 2;
  requests.submit(rows, 2 * staged_bytes);
  Submission bad = plain;
  bad.priority = 9;
  requests.submit(bad, 0);
  Submission claimed = plain;
  claimed.is_explicit = true;
  requests.submit(claimed, staged_bytes);
  const uint32_t claimed_slot = requests.slots[requests.next - 1];
  const uint32_t claimed_generation = requests.generations[requests.next - 1];
  Submission hurried = plain;
  hurried.deadline_in_ns = 1;
  requests.submit(hurried, usual);
  requests.submit(plain, usual);
  const uint32_t last = requests.next - 1;
  if (port->cancel(requests.slots[last], requests.generations[last])) requests.end(requests.slots[last]);
  requests.drain();
  port->release(claimed_slot, claimed_generation);
  Submission sync = plain;
  if (requests.slot(&sync) && usual == 0) {
    if (port->run_sync(sync, &requests.message) == Code::kOk) port->release_sync();
  }
  // Requests that are under way when their environment ends.
  for (int i = 0; i < 3; ++i) requests.submit(plain, usual);
  port->close();
  if (other) other->close();
}

// A whole life, with memory failing as armed before. Answers when everything is over.
void live_and_die(const Open& open, CoreOptions options, uint64_t staged_bytes) {
  std::unique_ptr<EngineModel> model;
  try {
    const Status status = open(&model);
    if (!status.is_ok()) model.reset();
  } catch (const std::bad_alloc&) {  // as OpenWorker does
  }
  if (!model) return;
  std::shared_ptr<ModelCore> core;
  const Status status = ModelCore::create(std::move(model), std::move(options), &core);
  if (!status.is_ok()) {
    EXPECT_EQ(status.code, Code::kOutOfMemory) << status.message;
    return;
  }
  use(core, staged_bytes);
}

void fail_each(const Open& open, const CoreOptions& options, uint64_t staged_bytes, bool for_good) {
  process_state();
  live_and_die(open, options, staged_bytes);  // what the process keeps for good is there now
  live_and_die(open, options, staged_bytes);
  int64_t steady = -1;
  ASSERT_TRUE(comes_true([&] {  // the threads of the last core are gone
    const int64_t before = std::exchange(steady, FailingMemory::live());
    std::this_thread::sleep_for(5ms);
    return before == steady;
  }));
  int64_t nth = 1;
  for (;; ++nth) {
    CoreOptions copy = options;
    FailingMemory::arm(nth, for_good);
    live_and_die(open, std::move(copy), staged_bytes);
    FailingMemory::disarm();
    const bool failed = FailingMemory::failed();
    ASSERT_TRUE(comes_true([&] { return FailingMemory::live() <= steady; }))
        << "allocation " << nth << " failed and " << FailingMemory::live() - steady << " blocks are left";
    if (::testing::Test::HasFailure()) FAIL() << "when allocation " << nth << " failed";
    if (!failed) break;
  }
  ::testing::Test::RecordProperty("allocations", static_cast<int>(nth - 1));
  EXPECT_GT(nth, 20);
}

CoreOptions small() {
  CoreOptions options;
  options.batch.max_batch_size = 4;
  options.batch.dynamic = true;
  options.memory_bytes = 1 << 20;
  options.max_queue_size = options.batch.levels[0].max_queue_size = 32;
  return options;
}

Open null_engine_with(std::vector<std::pair<std::string, std::string>> parameters) {
  auto options = std::make_shared<EngineOptions>();
  options->parameters = std::move(parameters);
  options->config_inputs = {{"an input with a name too long to lie in a string itself", DataType::kFp32, {-1, 64}}};
  options->config_outputs = {{"output", DataType::kFp32, {-1, 64}}};
  options->max_batch_size = 4;
  return [options](std::unique_ptr<EngineModel>* model) { return find_engine("null")->open(*options, model); };
}

TEST(AllocationFailure, each_in_a_life_over_the_null_engine) {
  fail_each(null_engine_with({{"fail_every", "4"}}), small(), 256, false);
}

TEST(AllocationFailure, each_and_all_that_follow_over_the_null_engine) {
  fail_each(null_engine_with({}), small(), 256, true);
}

TEST(AllocationFailure, each_over_an_engine_that_completes_asynchronously) {
  CoreOptions options = small();
  options.instances = 2;
  options.batch.preserve_ordering = true;
  fail_each(null_engine_with({{"completion", "async"}}), options, 256, false);
}

TEST(AllocationFailure, each_over_a_decoupled_model) {
  CoreOptions options = small();
  options.decoupled = true;
  fail_each(null_engine_with({{"parts", "3"}}), options, 256, false);
}

// An engine that fails batches and single requests with sentences of its own, and keeps outputs in its own memory.
TEST(AllocationFailure, each_over_an_engine_that_fails_and_keeps_its_outputs) {
  static std::atomic<uint32_t> batches{0};
  const subten::Run run = [](const BatchView& batch, BatchCompletion* completion) {
    const uint32_t number = batches++;
    const BatchTensor& input = batch.inputs[0];
    const BufferHandle buffer{.data = input.data, .bytes = input.bytes};
    completion->adopt(0, input.shape, buffer);
    if (number % 3 == 1) completion->fail(0, Status::quiet(Code::kEngineFailed, "one request of the batch has failed"));
    completion->done(number % 3 == 2 ? Status::quiet(Code::kEngineFailed, "the whole batch failed, all of it")
                                     : Status::ok());
  };
  const Open open = [&run](std::unique_ptr<EngineModel>* model) {
    *model = std::make_unique<ScriptedModel>(run);
    return Status::ok();
  };
  fail_each(open, small(), 256, false);
}

TEST(AllocationFailure, each_of_our_own_over_onnx_runtime) {
  Engine* engine = find_engine("onnxruntime");
  if (!engine->ensure_loaded({}).is_ok()) GTEST_SKIP() << "the library of ONNX Runtime is not there";
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the library of ONNX Runtime is not instrumented";
#endif
  FailingMemory::spare_library("libsubten_onnxruntime");
  EngineOptions options;
  options.model_path = SUBTEN_SOURCE_DIR "/test/data/onnx/two_in_two_out.onnx";
  // The library keeps a memory pattern for each shape of a batch that it has seen, and which batches form is chance.
  options.parameters = {{"enable_mem_pattern", "0"}, {"enable_mem_arena", "0"}};
  std::unique_ptr<EngineModel> warm;
  ASSERT_TRUE(engine->open(options, &warm).is_ok());
  const auto elements = [&](const TensorSpec& spec) {
    uint64_t product = 1;
    for (size_t d = 1; d < spec.shape.size(); ++d)
      product *= static_cast<uint64_t>(std::max<int64_t>(1, spec.shape[d]));
    return product * element_size(spec.type);
  };
  uint64_t bytes = 0;
  for (const TensorSpec& input : warm->spec().inputs) bytes = std::max(bytes, elements(input));
  // The model stays: what the library allocates for it is not ours, and comes and goes as it likes. Our instances over
  // it, the core and the runs are what fails.
  struct Kept final : EngineModel {
    EngineModel* model;
    const ModelSpec& spec() const noexcept override { return model->spec(); }
    Completion completion() const noexcept override { return model->completion(); }
    Status create_instance(std::unique_ptr<EngineInstance>* out) override { return model->create_instance(out); }
  };
  const Open open = [&](std::unique_ptr<EngineModel>* model) {
    auto kept = std::make_unique<Kept>();
    kept->model = warm.get();
    *model = std::move(kept);
    return Status::ok();
  };
  fail_each(open, small(), bytes, false);
}

TEST(AllocationFailure, each_extent_of_the_slab) {
  const Open open = null_engine_with({});
  for (int64_t nth = 1;; ++nth) {
    FailingMemory::arm_slab(nth);
    live_and_die(open, small(), 256);
    FailingMemory::disarm();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "when extent " << nth << " was refused";
    if (!FailingMemory::failed()) {
      EXPECT_GT(nth, 5);
      return;
    }
  }
}

TEST(AllocationFailure, a_slab_too_small_for_what_is_asked_refuses_and_goes_on) {
  for (const uint64_t bytes : {1, 4096, 8192, 16384}) {
    CoreOptions options = small();
    options.memory_bytes = bytes;
    live_and_die(null_engine_with({}), std::move(options), 8192);
    live_and_die(null_engine_with({}), small(), 512 << 10);
  }
}

}  // namespace
}  // namespace subten
