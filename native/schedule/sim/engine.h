// How long an instance takes for a batch.
#pragma once

#include <cstdint>

#include "schedule/sim/options.h"
#include "schedule/sim/random.h"

namespace subten::sim {

class Engine {
 public:
  Engine(const EngineOptions& options, uint32_t max_batch, uint64_t seed);

  // Without noise, drift or stalls: what profiling it beforehand would give.
  int64_t profiled_ns(uint32_t rows) const noexcept { return profile_[rows]; }
  // Rows a second of one instance at its best size.
  double best_rate() const noexcept;
  int64_t run(uint32_t instance, uint32_t rows, int64_t now_ns) noexcept;
  // Instances of pace 1 that would do as much as all of them.
  double speed() const noexcept;

 private:
  double pace(uint32_t instance) const noexcept {
    return instance < options_->paces.size() ? options_->paces[instance] : 1;
  }

  const EngineOptions* options_;
  std::vector<int64_t> profile_;  // by rows
  Random random_;
  size_t drift_ = 0, stall_ = 0;
  double factor_ = 1;
};

}  // namespace subten::sim
