// What a model core does for scheduling by due times, with an slo. See docs/batching.md.

#include <algorithm>
#include <array>

#include "executor/model_core.h"
#include "executor/synthetic_batch.h"
#include "metrics/clock.h"

namespace subten {
namespace {

// Without news for so long, estimates are looked at again before they refuse everything for good.
constexpr int64_t kRemeasureNs = 250'000'000;

}  // namespace

Status ModelCore::prepare_slo() {
  const BatchSettings& batch = options_.batch;
  if (!batch.slo.on()) return Status::ok();
  const auto unknown = [&](const TensorSpec& input) {
    return std::any_of(input.shape.begin() + (batches() ? 1 : 0), input.shape.end(),
                       [](int64_t dim) { return dim < 0; });
  };
  const auto& inputs = model_->spec().inputs;
  const bool varies = std::any_of(inputs.begin(), inputs.end(), unknown);
  slo_ = std::make_unique<DeadlineScheduler>(batch, options_.instances);
  if (!slo_->initialise(varies ? LatencyModel::kShapeClasses : 1, options_.latency_table)) {
    return Status::error(Code::kOutOfMemory, "no memory for the latencies of the model");
  }
  return Status::ok();
}

// With an slo: does `work` under the token. False where another leader has it, or there is no memory.
template <typename Work>
bool ModelCore::lead(Work work) noexcept {
  if (!slo_ || !token_.try_lock()) return false;
  bool done = true;
  try {
    work();
  } catch (...) {
    done = false;
  }
  token_.unlock();
  hand_over();
  return done;
}

uint8_t ModelCore::shape_class(uint32_t slot, uint32_t rows, bool staged) noexcept {
  if (slo_->latency().classes() == 1 || !staged) return 0;
  uint64_t bytes = 0;
  for (size_t index = 0; index < input_count_; ++index) {
    if (input(slot, index).present != 0) bytes += input(slot, index).bytes;
  }
  return static_cast<uint8_t>(LatencyModel::class_of(bytes / 4 / std::max<uint32_t>(1, rows)));
}

void ModelCore::leave_admission(uint32_t slot) noexcept {
  if (!slo_) return;
  Descriptor& descriptor = descriptors_[slot];
  slo_->admission().leave(descriptor.level, descriptor.rows, descriptor.due_bucket);
  descriptor.due_bucket = Admission::kNone;
}

void ModelCore::learn_from(Batch* batch, int64_t now_ns) noexcept {
  const auto [shape_class, rows, latency_ns] = batch->take_observation();
  if (rows == 0) return;
  slo_->learn(shape_class, rows, latency_ns);
  learned_ns_.store(now_ns, std::memory_order_relaxed);
}

// Instances that are not in use take nothing: to admission they are busy for ever.
void ModelCore::tell_instances() noexcept {
  Admission& admission = slo_->admission();
  for (uint32_t index = 0; index < options_.instances; ++index) {
    const bool away = admission.is_away(index);
    if (elastic_->active_at(index) == away) away ? admission.rests(index) : admission.goes_away(index);
  }
  admission.publish(active_instances(), admission.arrival_rate());
}

bool ModelCore::form_by_due(Batch* batch, int64_t now_ns, int64_t* wake_ns) noexcept {
  if (elastic_ != nullptr) tell_instances();
  const auto alive = [this](uint32_t slot) {
    if (RequestWord::phase(descriptors_[slot].state.load()) == Phase::kQueued) return true;
    drop_dead(slot);
    return false;
  };
  const Plan plan = slo_->plan(queue_, descriptors_.data(), batch->index(), now_ns, alive,
                               [this](uint32_t a, uint32_t b) { return compatible(a, b); });
  const int64_t kept_ns = DeadlineScheduler::kKeptTargets * options_.batch.slo.target_ns;
  for (uint32_t i = 0; i < plan.give_up; ++i) {
    const uint32_t slot = slo_->candidate(i);
    leave_admission(slot);
    if (descriptors_[slot].deadline_ns == kNever) {
      queue_.move_behind(slot, descriptors_[slot].submit_ns + kept_ns);
      continue;
    }
    queue_.remove(slot);
    given_up.fetch_add(1, std::memory_order_relaxed);
    end_expired(slot, now_ns);
  }
  if (plan.requests == 0) {
    // Those that were given up may have hidden others from the plan.
    *wake_ns = plan.give_up > 0 && queue_.size() > 0 ? now_ns : std::min(plan.wake_ns, queue_.next_expiry_ns());
    wait_for_more(*wake_ns, plan.rows_wanted);
    return false;
  }
  begin_batch(batch, now_ns);
  const uint32_t end = plan.give_up + plan.requests;
  slo_->formed(queue_, descriptors_.data(), plan.give_up, end);  // looks at them, so before they may go
  for (uint32_t i = plan.give_up; i < end; ++i) take_into(batch, slo_->candidate(i));
  if (batch->request_count() == 0) {
    *wake_ns = now_ns;  // all of them were cancelled: look again
    return false;
  }
  slo_->admission().runs(batch->index(), now_ns + slo_->latency().typical_ns(batch->shape_class(), batch->rows()));
  batch->seal(plan.reason, next_ticket_++);
  return true;
}

void ModelCore::remeasure(int64_t now_ns) noexcept {
  if (now_ns - learned_ns_.load(std::memory_order_relaxed) < kRemeasureNs) return;
  if (model_->completion() != Completion::kSync || slo_->admission().waiting_rows() > 0 ||
      slo_->admission().first_free_ns(now_ns) > now_ns) {
    return;
  }
  learned_ns_.store(now_ns, std::memory_order_relaxed);  // not again at once, whatever comes of it
  remeasure_.store(true, std::memory_order_seq_cst);
  parking_.wake_one();
}

// On the thread of an idle instance.
void ModelCore::measure_again(Batch* batch) noexcept {
  if (!remeasure_.exchange(false, std::memory_order_seq_cst)) return;
  SyntheticBatch zeros;
  if (!zeros.prepare(*model_, batches(), options_.deterministic ? options_.batch.max_batch_size : 0)) return;
  // The size that is believed to be best is what a refusal under load comes from; a single row, what one without is.
  const uint32_t sizes[] = {1, slo_->latency().best_rows(0)};
  for (const uint32_t rows : sizes) {
    // A single run may be slow for reasons of its own.
    std::array<int64_t, 3> times{};
    for (int64_t& each : times) each = zeros.run(*batch->instance(), rows);
    std::sort(times.begin(), times.end());
    const int64_t took = times[1];
    if (times[0] < 0) return;
    // Where another leader has the token, the next of these comes soon enough.
    const bool learned = lead([&] {
      // What was learned before is forgotten: it was believed for too long.
      for (uint32_t i = 0; i < LatencyModel::kWindow; ++i) slo_->learn(0, rows, took);
    });
    if (!learned) return;
  }
}

std::string ModelCore::latency_table() noexcept {
  std::string text;
  lead([&] { text = slo_->latency().save(); });
  return text;
}

void ModelCore::each_latency(const std::function<void(uint32_t, uint32_t, const LatencyEstimate&)>& visit) noexcept {
  lead([&] { slo_->latency().each_measured(visit); });
}

}  // namespace subten
