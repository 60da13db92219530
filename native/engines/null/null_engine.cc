#include "engines/null/null_engine.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include "metrics/clock.h"

namespace subten {
namespace {

struct NullSettings {
  int64_t busy_ns = 0;
  int64_t busy_ns_per_row = 0;
  int64_t slow_every = 0;  // every so many batches one takes slow_ns more
  int64_t slow_ns = 0;
  int64_t fail_every = 0;
  int64_t crash_after = 0;
  int64_t hang_after = 0;
  int64_t parts = 1;
  bool async = false;
  bool device = false;  // the thread sleeps meanwhile, as one does that waits for a device
};

class NullModel;

void fail_full(size_t request, BatchCompletion* completion) noexcept {
  completion->fail(request, Status::quiet(Code::kQueueFull, "no memory left for the output"));
}

class NullInstance final : public EngineInstance {
 public:
  explicit NullInstance(NullModel* model) : model_(model) {}
  ~NullInstance() override;
  void execute(const BatchView& batch, BatchCompletion* completion) noexcept override;
  void terminate() noexcept override { terminate_.store(true, std::memory_order_release); }
  void start_thread() {
    thread_ = std::thread([this] { serve(); });
  }

 private:
  void compute(const BatchView& batch, BatchCompletion* completion) noexcept;
  void take(int64_t ns) noexcept;
  void misbehave(size_t requests) noexcept;
  void answer(const BatchView& batch, BatchCompletion* completion) noexcept;
  void echo_whole(const BatchView& batch, BatchCompletion* completion) noexcept;
  bool echo_request(const BatchView& batch, size_t request, BatchCompletion* completion) noexcept;
  void serve() noexcept;

  NullModel* model_;
  std::atomic<bool> terminate_{false};
  // Asynchronous completion: a thread of its own takes one batch at a time.
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  BatchView batch_;
  BatchCompletion* completion_ = nullptr;
  bool stop_ = false;
};

class NullModel final : public EngineModel {
 public:
  NullModel(ModelSpec spec, NullSettings settings, bool batches)
      : settings(settings), batches(batches), spec_(std::move(spec)) {}
  const ModelSpec& spec() const noexcept override { return spec_; }
  Completion completion() const noexcept override { return settings.async ? Completion::kAsync : Completion::kSync; }
  Status create_instance(std::unique_ptr<EngineInstance>* out) override {
    auto instance = std::make_unique<NullInstance>(this);
    if (settings.async) {
      try {
        instance->start_thread();
      } catch (...) {
        return Status::quiet(Code::kOutOfMemory, "the system refused a thread for the null engine");
      }
    }
    *out = std::move(instance);
    return Status::ok();
  }

  const NullSettings settings;
  const bool batches;
  std::atomic<int64_t> requests{0};
  std::atomic<int64_t> batches_begun{0};  // for slow_every
  std::atomic<int64_t> begun{0};          // requests that began to run, for crash_after and hang_after

 private:
  ModelSpec spec_;
};

NullInstance::~NullInstance() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();  // the core is never destroyed by a thread that is inside a completion
}

void NullInstance::execute(const BatchView& batch, BatchCompletion* completion) noexcept {
  if (!model_->settings.async) {
    compute(batch, completion);
    return;
  }
  {
    std::lock_guard lock(mutex_);
    batch_ = batch;
    completion_ = completion;
  }
  changed_.notify_one();
}

void NullInstance::serve() noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || completion_ != nullptr; });
    if (stop_) return;
    const BatchView batch = batch_;
    BatchCompletion* completion = std::exchange(completion_, nullptr);
    lock.unlock();
    compute(batch, completion);
    lock.lock();
  }
}

void NullInstance::compute(const BatchView& batch, BatchCompletion* completion) noexcept {
  // Forgets one that was meant for the run before. acquire: if it was meant for this one, what led to it is seen below.
  terminate_.exchange(false, std::memory_order_acq_rel);
  if (completion->abandoned()) terminate_.store(true, std::memory_order_relaxed);
  completion->mark_start();
  const NullSettings& settings = model_->settings;
  if (settings.crash_after > 0 || settings.hang_after > 0) misbehave(batch.requests.size());
  int64_t busy = settings.busy_ns + settings.busy_ns_per_row * batch.rows;
  if (settings.slow_every > 0 &&
      (model_->batches_begun.fetch_add(1, std::memory_order_relaxed) + 1) % settings.slow_every == 0) {
    busy += settings.slow_ns;
  }
  if (busy > 0) take(busy);
  answer(batch, completion);
}

void NullInstance::take(int64_t ns) noexcept {
  const int64_t until = monotonic_ns() + ns;
  const auto done = [&] { return monotonic_ns() >= until || terminate_.load(std::memory_order_relaxed); };
  // Timers wake late: the end is waited for awake, as drivers of devices do.
  constexpr int64_t kAwake = 120'000;
  constexpr int64_t kLongestSleep = 10'000'000;  // terminate() is seen after so long
  while (model_->settings.device && !done()) {
    const int64_t left = until - monotonic_ns() - kAwake;
    if (left <= 0) break;
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(left, kLongestSleep)));
  }
  while (!done()) {
  }
}

// What an engine does that has a fault: it takes the process with it, or it never comes back.
void NullInstance::misbehave(size_t requests) noexcept {
  const NullSettings& settings = model_->settings;
  const int64_t before = model_->begun.fetch_add(static_cast<int64_t>(requests), std::memory_order_relaxed);
  const auto now = [&](int64_t nth) { return nth > before && nth <= before + static_cast<int64_t>(requests); };
  if (now(settings.crash_after)) ::raise(SIGSEGV);
  // terminate() is not looked at: an engine that hangs does not listen.
  while (now(settings.hang_after)) std::this_thread::sleep_for(std::chrono::hours(1));
}

void NullInstance::answer(const BatchView& batch, BatchCompletion* completion) noexcept {
  const NullSettings& settings = model_->settings;
  if (terminate_.load(std::memory_order_relaxed)) {
    completion->done(Status::quiet(Code::kEngineFailed, "the run was terminated"));
    return;
  }
  if (settings.fail_every > 0) {
    for (size_t request = 0; request < batch.requests.size(); ++request) {
      if ((model_->requests.fetch_add(1, std::memory_order_relaxed) + 1) % settings.fail_every == 0) {
        completion->fail(request, Status::quiet(Code::kEngineFailed, "the null engine fails, as fail_every says"));
      }
    }
  }
  if (settings.parts != 1) {
    for (size_t request = 0; request < batch.requests.size(); ++request) {
      for (int64_t part = 0; part < settings.parts; ++part) {
        if (!echo_request(batch, request, completion) || !completion->part(request)) break;
      }
    }
  } else {
    echo_whole(batch, completion);
  }
  completion->mark_end();
  completion->done(Status::ok());
}

void NullInstance::echo_whole(const BatchView& batch, BatchCompletion* completion) noexcept {
  const size_t pairs = std::min(model_->spec().inputs.size(), model_->spec().outputs.size());
  for (size_t i = 0; i < pairs; ++i) {
    const BatchTensor& input = batch.inputs[i];
    if (!input.present) continue;
    const bool ragged =
        model_->batches && batch.requests.size() > 1 && input.shape.size() != model_->spec().inputs[i].shape.size();
    if (!ragged) {
      void* to = completion->allocate(i, input.shape, input.bytes);
      if (to != nullptr) {
        std::memcpy(to, input.data, input.bytes);
      } else {
        for (size_t request = 0; request < batch.requests.size(); ++request) {
          fail_full(request, completion);
        }
      }
      continue;
    }
    for (size_t request = 0; request < batch.requests.size(); ++request) {
      const RequestTensor& tensor = batch.requests[request].inputs[i];
      void* to = completion->allocate_for(request, i, tensor.shape, tensor.bytes);
      if (to != nullptr) {
        std::memcpy(to, tensor.data, tensor.bytes);
      } else {
        fail_full(request, completion);
      }
    }
  }
}

bool NullInstance::echo_request(const BatchView& batch, size_t request, BatchCompletion* completion) noexcept {
  const size_t pairs = std::min(model_->spec().inputs.size(), model_->spec().outputs.size());
  for (size_t i = 0; i < pairs; ++i) {
    if (!batch.requests[request].present[i]) continue;
    const RequestTensor& tensor = batch.requests[request].inputs[i];
    void* to = completion->allocate_for(request, i, tensor.shape, tensor.bytes);
    if (to == nullptr) {
      fail_full(request, completion);
      return false;
    }
    std::memcpy(to, tensor.data, tensor.bytes);
  }
  return true;
}

Status read_number(const EngineOptions& options, const char* name, int64_t scale, int64_t* value) {
  const std::string* text = find_parameter(options, name);
  if (text == nullptr) return Status::ok();
  double number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || !(number >= 0) || number > 1e9) {
    return Status::error(Code::kConfigInvalid,
                         std::string("parameter '") + name + "' must be a number from 0 to 1e9, not '" + *text + "'");
  }
  *value = static_cast<int64_t>(number * static_cast<double>(scale));
  return Status::ok();
}

class NullEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "null"; }
  Status ensure_loaded(const std::string&) override { return Status::ok(); }
  std::string version() const override { return "1"; }
  std::string library() const override { return {}; }

  Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) override {
    NullSettings settings;
    for (const auto& [name, scale, value] : {std::tuple{"busy_us", int64_t{1000}, &settings.busy_ns},
                                             std::tuple{"busy_us_per_row", int64_t{1000}, &settings.busy_ns_per_row},
                                             std::tuple{"slow_every", int64_t{1}, &settings.slow_every},
                                             std::tuple{"slow_us", int64_t{1000}, &settings.slow_ns},
                                             std::tuple{"fail_every", int64_t{1}, &settings.fail_every},
                                             std::tuple{"crash_after", int64_t{1}, &settings.crash_after},
                                             std::tuple{"hang_after", int64_t{1}, &settings.hang_after},
                                             std::tuple{"parts", int64_t{1}, &settings.parts}}) {
      Status status = read_number(options, name, scale, value);
      if (!status.is_ok()) return status;
    }
    if (const std::string* completion = find_parameter(options, "completion")) {
      if (*completion != "sync" && *completion != "async") {
        return Status::error(Code::kConfigInvalid,
                             "parameter 'completion' must be sync or async, not '" + *completion + "'");
      }
      settings.async = *completion == "async";
    }
    if (const std::string* computes = find_parameter(options, "computes_on")) {
      if (*computes != "cpu" && *computes != "device") {
        return Status::error(Code::kConfigInvalid,
                             "parameter 'computes_on' must be cpu or device, not '" + *computes + "'");
      }
      settings.device = *computes == "device";
    }
    ModelSpec spec{options.config_inputs, options.config_outputs, {}};
    if (spec.inputs.empty() || spec.inputs.size() != spec.outputs.size()) {
      return Status::error(Code::kConfigInvalid,
                           "the null engine echoes: it needs as many outputs as inputs, at least one");
    }
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      if (spec.inputs[i].type != spec.outputs[i].type || spec.inputs[i].shape != spec.outputs[i].shape) {
        return Status::error(Code::kConfigInvalid, "the null engine echoes: output '" + spec.outputs[i].name +
                                                       "' must have the datatype and shape of input '" +
                                                       spec.inputs[i].name + "'");
      }
    }
    *out = std::make_unique<NullModel>(std::move(spec), settings, options.max_batch_size > 0);
    return Status::ok();
  }
};

}  // namespace

Engine* null_engine() noexcept {
  static NullEngine engine;
  return &engine;
}

}  // namespace subten
