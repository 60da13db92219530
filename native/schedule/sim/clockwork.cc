// Clockwork (Gujarati et al., OSDI 2020): each batch size takes exactly as long as predicted; the earliest deadline
// goes first, in the largest batch that keeps it; what cannot be kept any more is rejected at once. It never waits.
#include "schedule/sim/recent_most.h"
#include "schedule/sim/waiting_line.h"

namespace subten::sim {
namespace {

class Clockwork final : public DeadlineLine {
 public:
  explicit Clockwork(const World& world) : DeadlineLine(world), latency_(*world.engine, world.options->max_batch) {}

  bool submit(uint32_t slot, int64_t now, bool force) override {
    const Request& request = world_.requests[slot];
    if (!force && now + latency_(request.rows) > request.told_ns) return false;
    return DeadlineLine::submit(slot, now, force);
  }
  void form(uint32_t, int64_t now, Formed* formed) override {
    while (!line_.empty() && late(now)) drop_first(formed);
    if (line_.empty()) return;
    uint32_t rows = rows_within(world_.options->max_batch);
    while (rows > 1 && now + latency_(rows) > line_.begin()->first) --rows;
    take(rows, formed);
  }
  void expire(int64_t now, std::vector<uint32_t>* expired) override {
    while (!line_.empty() && late(now)) {
      expired->push_back(line_.begin()->second);
      line_.erase(line_.begin());
    }
  }
  int64_t next_expiry_ns() const override {
    return line_.empty() ? INT64_MAX : line_.begin()->first - latency_(world_.requests[line_.begin()->second].rows) + 1;
  }
  void ended(uint32_t, uint32_t rows, int64_t took, int64_t) override { latency_.observe(rows, took); }

 private:
  bool late(int64_t now) const { return next_expiry_ns() <= now; }
  RecentMost latency_;
};

}  // namespace

std::unique_ptr<Policy> make_clockwork(const World& world) { return std::make_unique<Clockwork>(world); }

}  // namespace subten::sim
