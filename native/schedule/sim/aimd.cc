// Clipper (Crankshaw et al., NSDI 2017, section 4.3): the most that a batch may have grows by one with each full batch
// that kept the objective, and shrinks by a tenth with each that did not. Requests whose deadline has passed in the
// queue are not run. One limit for all instances, as they are alike here.
#include <algorithm>

#include "schedule/sim/waiting_line.h"

namespace subten::sim {
namespace {

class Aimd final : public ArrivalLine {
 public:
  explicit Aimd(const World& world) : ArrivalLine(world, true) {}
  void form(uint32_t, int64_t, Formed* formed) override { take(static_cast<uint32_t>(limit_), formed); }
  void ended(uint32_t, uint32_t rows, int64_t took, int64_t) override {
    if (took > world_.options->target_ns) {
      limit_ = std::max(1.0, limit_ * 0.9);
    } else if (rows >= static_cast<uint32_t>(limit_)) {
      limit_ = std::min<double>(world_.options->max_batch, limit_ + 1);
    }
  }

 private:
  double limit_ = 1;
};

}  // namespace

std::unique_ptr<Policy> make_aimd(const World& world) { return std::make_unique<Aimd>(world); }

}  // namespace subten::sim
