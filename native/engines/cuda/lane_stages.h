// How long a batch takes on the device, by events in the stream of its lane: until its rows are there (`deviceInput`),
// the run itself (`deviceCompute`), until its results are back (`deviceOutput`).
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "engines/cuda/stream.h"
#include "metrics/histogram.h"

namespace subten {

inline constexpr size_t kLaneStages = 3;

// Of all lanes of a model.
class LaneStages {
 public:
  // Before the lanes are made. Without memory nothing is measured.
  void initialise() noexcept;
  bool measures() const noexcept { return measures_; }
  // Any thread. One that comes while another records is not counted: nobody waits for statistics.
  void record(const int64_t (&nanoseconds)[kLaneStages]) noexcept;
  // Any thread.
  void each(const std::function<void(std::string_view name, const Histogram& histogram)>& visit) const;
  void reset() noexcept;

 private:
  bool measures_ = false;
  std::atomic_flag recording_;
  Histogram stages_[kLaneStages];
};

// Of one lane, on its thread: marks the moments of every eighth batch, the first included. Four events and the
// questions for their distances cost some microseconds.
class LaneClock {
 public:
  enum Moment : uint8_t { kStart, kCopied, kComputed, kEnd };

  // `stages` outlives the clock; null: nothing is measured.
  Status open(const CudaStream& stream, LaneStages* stages);
  // A batch begins: whether it is one of those that are measured.
  void begin() noexcept;
  // The moment at which all that is in the stream now will be done. A failure shows in what follows, and ends the
  // measurement.
  void mark(CudaStream& stream, Moment moment) noexcept;
  // All moments are reached.
  void end() noexcept;

 private:
  static constexpr uint32_t kEvery = 8;

  LaneStages* stages_ = nullptr;
  uint32_t batches_ = 0;
  bool measures_ = false;
  CudaEvent events_[kEnd + 1];
};

}  // namespace subten
