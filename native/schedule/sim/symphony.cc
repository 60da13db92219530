// Symphony (Chen et al., arXiv 2308.07470): a batch of b requests, the earliest of them due at d, may go from
// d - l(b + 1) on, when no further request could join it any more, and must go by d - l(b). Requests are given up from
// the front where they would keep the batch smaller than the size that the target allows in a steady state.
#include "schedule/sim/recent_most.h"
#include "schedule/sim/waiting_line.h"

namespace subten::sim {
namespace {

class Symphony final : public DeadlineLine {
 public:
  explicit Symphony(const World& world) : DeadlineLine(world), latency_(*world.engine, world.options->max_batch) {}

  void form(uint32_t, int64_t now, Formed* formed) override {
    const uint32_t steady = steady_size();
    while (!line_.empty() && now + latency_(std::max(first_rows(), std::min(steady, rows_within(steady)))) > due()) {
      drop_first(formed);
    }
    if (line_.empty()) return;
    const uint32_t most = world_.options->max_batch;
    uint32_t rows = rows_within(most);
    while (rows > 1 && now + latency_(rows) > due()) --rows;
    // Nobody could join any more: the next does not fit, or would make it late.
    const bool closed = rows >= most || line_.size() > rows;
    const int64_t from = closed ? now : due() - latency_(rows + 1);
    if (now < from) {
      formed->wake_ns = from;
      return;
    }
    take(rows, formed);
  }
  void ended(uint32_t, uint32_t rows, int64_t took, int64_t) override { latency_.observe(rows, took); }

 private:
  int64_t due() const { return line_.begin()->first; }
  uint32_t first_rows() const { return world_.requests[line_.begin()->second].rows; }
  // With batches that take turns on n instances, the last to join one waits l(b)/n until the next leaves.
  uint32_t steady_size() const {
    const auto instances = static_cast<double>(world_.options->engine.instances);
    uint32_t rows = 1;
    while (rows < world_.options->max_batch && static_cast<double>(latency_(rows + 1)) * (1 + 1 / instances) <=
                                                   static_cast<double>(world_.options->target_ns)) {
      ++rows;
    }
    return rows;
  }
  RecentMost latency_;
};

}  // namespace

std::unique_ptr<Policy> make_symphony(const World& world) { return std::make_unique<Symphony>(world); }

}  // namespace subten::sim
