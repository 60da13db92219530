#include "engines/onnxruntime/thread_trial.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"
#include "memory/tensor.h"
#include "metrics/clock.h"

namespace subten {
namespace {

constexpr int kRuns = 15;
constexpr int64_t kLargestNs = 20'000'000;  // a largest batch above this is not repeated
constexpr auto kPatience = std::chrono::milliseconds(250);
constexpr uint64_t kMostBytes = 16 << 20;
constexpr uint64_t kMostPreparedBytes = 256 << 20;

// Ends runs that go on for too long: a model may loop until its input says that it is done.
class Watchdog {
 public:
  explicit Watchdog(OrtRunOptions* options) : thread_([this, options] { watch(options); }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void watch(OrtRunOptions* options) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kPatience, [this] { return done_; })) return;
    OrtError ignored(ort().RunOptionsSetTerminate(options));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

// Zeros for every required input of `rows` rows; false when their size is not known.
bool make_inputs(const OrtModelState& model, bool batches, int64_t rows, uint64_t most_bytes,
                 std::vector<std::byte>* memory, std::vector<OrtOwned<OrtValue>>* values) {
  std::vector<Shape> shapes;
  std::vector<uint64_t> sizes;
  uint64_t total = 0;
  for (const TensorSpec& spec : model.spec.inputs) {
    if (spec.optional) continue;
    Shape shape = spec.shape;
    if (batches && !shape.empty()) shape[0] = rows;
    uint64_t elements = 0;
    if (spec.type == DataType::kBytes || !element_count(shape.data(), static_cast<uint32_t>(shape.size()), &elements)) {
      return false;
    }
    sizes.push_back(elements * element_size(spec.type));
    shapes.push_back(shape);
    total += sizes.back() + 64;
    if (total > most_bytes) return false;
  }
  memory->assign(total, std::byte{0});
  uint64_t at = 0;
  for (size_t i = 0, given = 0; i < model.spec.inputs.size(); ++i) {
    if (model.spec.inputs[i].optional) continue;
    OrtValue* value = nullptr;
    OrtError error(ort().CreateTensorWithDataAsOrtValue(ort_cpu_memory(), memory->data() + at, sizes[given],
                                                        shapes[given].data(), shapes[given].size(),
                                                        model.input_types[i], &value));
    if (error) return false;
    values->emplace_back(value);
    at += (sizes[given++] + 63) & ~uint64_t{63};
  }
  return true;
}

class Trial {
 public:
  Trial(const OrtModelState& model, OrtRunOptions* options) : model_(model), options_(options) {
    for (size_t i = 0; i < model.spec.inputs.size(); ++i) {
      if (!model.spec.inputs[i].optional) names_.push_back(model.input_names[i]);
    }
  }

  // Median of several runs, or 0. One run alone when that takes longer than `most_ns`.
  int64_t time(bool batches, int64_t rows, int64_t most_ns) {
    std::vector<std::byte> memory;
    std::vector<OrtOwned<OrtValue>> values;
    if (!make_inputs(model_, batches, rows, kMostBytes, &memory, &values) || run(values) == 0) return 0;
    std::vector<int64_t> times = {run(values)};
    if (times[0] == 0 || times[0] > most_ns) return times[0];
    for (int i = 1; i < kRuns; ++i) {
      times.push_back(run(values));
      if (times.back() == 0) return 0;
    }
    std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
    return times[kRuns / 2];
  }

  // False when it cannot be run.
  bool once(bool batches, int64_t rows) {
    std::vector<std::byte> memory;
    std::vector<OrtOwned<OrtValue>> values;
    return make_inputs(model_, batches, rows, kMostPreparedBytes, &memory, &values) && run(values) > 0;
  }

 private:
  // 0: it failed.
  int64_t run(const std::vector<OrtOwned<OrtValue>>& inputs) {
    std::vector<const OrtValue*> given;
    for (const auto& input : inputs) given.push_back(input.get());
    std::vector<OrtValue*> outputs(model_.output_names.size(), nullptr);
    const int64_t start = monotonic_ns();
    OrtError error(ort().Run(model_.session.get(), options_, names_.data(), given.data(), given.size(),
                             model_.output_names.data(), outputs.size(), outputs.data()));
    const int64_t took = monotonic_ns() - start;
    for (OrtValue* output : outputs) OrtOwned<OrtValue>{output}.reset();
    return error ? 0 : std::max<int64_t>(1, took);
  }

  const OrtModelState& model_;
  OrtRunOptions* options_;
  std::vector<const char*> names_;
};

}  // namespace

bool pool_pays(const TrialTimes& pool, const TrialTimes& alone, int threads) noexcept {
  if (pool.one_row * 5 <= alone.one_row * 4) return true;
  return pool.largest > 0 && alone.largest * 4 >= pool.largest * 3 * threads;
}

TrialTimes time_runs(const OrtModelState& model, int32_t max_batch_size, int64_t worth_it_ns) try {
  OrtRunOptions* raw = nullptr;
  if (OrtError error(ort().CreateRunOptions(&raw)); error) return {};
  const OrtOwned<OrtRunOptions> options(raw);
  const Watchdog watchdog(options.get());
  Trial trial(model, options.get());
  TrialTimes times;
  const bool batches = max_batch_size > 0;
  times.one_row = trial.time(batches, 1, worth_it_ns);
  if (times.one_row == 0 || times.one_row > worth_it_ns) return {};
  if (max_batch_size > 1) times.largest = trial.time(batches, max_batch_size, kLargestNs);
  return times;
} catch (const std::system_error&) {
  return {};  // no thread for the watchdog: the model loads without a trial
}

uint32_t run_sizes(const OrtModelState& model, int32_t max_batch_size, int64_t budget_ns) noexcept try {
  OrtRunOptions* raw = nullptr;
  if (OrtError error(ort().CreateRunOptions(&raw)); error) return 0;
  const OrtOwned<OrtRunOptions> options(raw);
  Trial trial(model, options.get());
  const bool batches = max_batch_size > 0;
  const auto most = static_cast<uint32_t>(std::max(max_batch_size, 1));
  const int64_t end = monotonic_ns() + budget_ns;
  uint32_t rows = 0;
  while (rows < most && monotonic_ns() < end && trial.once(batches, rows + 1)) ++rows;
  return rows;
} catch (const std::bad_alloc&) {
  return 0;
}

}  // namespace subten
