#include "engines/cuda/lane_stages.h"

#include <algorithm>

namespace subten {
namespace {

constexpr const char* kNames[kLaneStages] = {"deviceInput", "deviceCompute", "deviceOutput"};
constexpr float kNanoseconds = 1e6F;  // of a millisecond

}  // namespace

void LaneStages::initialise() noexcept {
  measures_ = std::all_of(std::begin(stages_), std::end(stages_), [](Histogram& each) { return each.initialise(); });
}

void LaneStages::record(const int64_t (&nanoseconds)[kLaneStages]) noexcept {
  // Acquire and release order the plain counters of the writers.
  if (recording_.test_and_set(std::memory_order_acquire)) return;
  for (size_t i = 0; i < kLaneStages; ++i) stages_[i].record(nanoseconds[i]);
  recording_.clear(std::memory_order_release);
}

void LaneStages::each(const std::function<void(std::string_view, const Histogram&)>& visit) const {
  if (!measures_) return;
  for (size_t i = 0; i < kLaneStages; ++i) visit(kNames[i], stages_[i]);
}

void LaneStages::reset() noexcept {
  if (!measures_) return;
  for (Histogram& each : stages_) each.reset();
}

Status LaneClock::open(const CudaStream& stream, LaneStages* stages) {
  if (stages == nullptr || !stages->measures()) return Status::ok();
  for (CudaEvent& event : events_) {
    if (Status status = event.create(stream, true); !status.is_ok()) return status;
  }
  stages_ = stages;
  return Status::ok();
}

void LaneClock::begin() noexcept { measures_ = stages_ != nullptr && batches_++ % kEvery == 0; }

void LaneClock::mark(CudaStream& stream, Moment moment) noexcept {
  if (measures_) measures_ = stream.record(events_[moment]).is_ok();
}

void LaneClock::end() noexcept {
  if (!measures_) return;
  int64_t nanoseconds[kLaneStages];
  for (size_t i = 0; i < kLaneStages; ++i) {
    float milliseconds = 0;
    if (!events_[i + 1].elapsed_ms(events_[i], &milliseconds).is_ok()) return;
    nanoseconds[i] = static_cast<int64_t>(milliseconds * kNanoseconds);
  }
  stages_->record(nanoseconds);
}

}  // namespace subten
