// What the policies have in common that are simulated for comparison only: a queue in order of arrival, or of
// deadlines.
#pragma once

#include <deque>
#include <set>
#include <utility>

#include "schedule/sim/policy.h"

namespace subten::sim {

// In order of arrival. Those whose deadline has passed end, if `expires`: deadlines are not in order where budgets
// differ, so only the head is looked at.
class ArrivalLine : public Policy {
 public:
  ArrivalLine(const World& world, bool expires) : world_(world), expires_(expires) {}
  bool submit(uint32_t slot, int64_t, bool) override {
    line_.push_back(slot);
    return true;
  }
  void expire(int64_t now, std::vector<uint32_t>* expired) override {
    while (!line_.empty() && next_expiry_ns() <= now) {
      expired->push_back(line_.front());
      line_.pop_front();
    }
  }
  int64_t next_expiry_ns() const override {
    return expires_ && !line_.empty() ? world_.requests[line_.front()].told_ns : INT64_MAX;
  }

 protected:
  // The first requests that fit into so many rows; at least one.
  void take(uint32_t most_rows, Formed* formed) {
    for (uint32_t rows = 0; !line_.empty();) {
      rows += world_.requests[line_.front()].rows;
      if (rows > most_rows && !formed->batch.empty()) return;
      formed->batch.push_back(line_.front());
      line_.pop_front();
    }
  }
  World world_;
  std::deque<uint32_t> line_;

 private:
  bool expires_;
};

// In order of deadlines.
class DeadlineLine : public Policy {
 public:
  explicit DeadlineLine(const World& world) : world_(world) {}
  bool submit(uint32_t slot, int64_t, bool) override {
    line_.emplace(world_.requests[slot].told_ns, slot);
    return true;
  }

 protected:
  void drop_first(Formed* formed) {
    formed->dropped.push_back(line_.begin()->second);
    line_.erase(line_.begin());
  }
  // Rows of the longest prefix with at most so many.
  uint32_t rows_within(uint32_t most_rows) const {
    uint32_t rows = 0;
    for (const auto& [due, slot] : line_) {
      if (rows > 0 && rows + world_.requests[slot].rows > most_rows) break;
      rows += world_.requests[slot].rows;
      if (rows >= most_rows) break;
    }
    return rows;
  }
  void take(uint32_t most_rows, Formed* formed) {
    for (uint32_t rows = 0; !line_.empty();) {
      const uint32_t slot = line_.begin()->second;
      rows += world_.requests[slot].rows;
      if (rows > most_rows && !formed->batch.empty()) return;
      formed->batch.push_back(slot);
      line_.erase(line_.begin());
    }
  }
  World world_;
  std::set<std::pair<int64_t, uint32_t>> line_;
};

}  // namespace subten::sim
