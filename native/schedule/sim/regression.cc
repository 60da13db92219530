// BentoML's adaptive batching (its dispatcher.py): batch time is a line over rows, fitted by least squares to recent
// batches. The oldest request is given up when waiting so far and a batch of all that waits would exceed the maximum
// latency; else a batch waits while that costs those in it less than requests have waited on average.
#include <algorithm>
#include <array>

#include "schedule/sim/waiting_line.h"

namespace subten::sim {
namespace {

class Regression final : public ArrivalLine {
 public:
  explicit Regression(const World& world) : ArrivalLine(world, false) {}

  void form(uint32_t, int64_t now, Formed* formed) override {
    shed(now, &formed->dropped);
    if (line_.empty()) return;
    const auto n = static_cast<double>(line_.size());
    const double waited = static_cast<double>(now - world_.requests[line_.back()].arrival_ns);
    const double enough = mean_wait_ * 0.95 / n - per_row_;
    if (line_.size() < world_.options->max_batch && waited + kTick <= enough) {
      formed->wake_ns = now + static_cast<int64_t>(kTick);
      return;
    }
    const double wait = waited;
    take(world_.options->max_batch, formed);
    waits_[samples_ % kSamples] = wait;
  }
  // Also while all instances are busy.
  void expire(int64_t now, std::vector<uint32_t>* expired) override { shed(now, expired); }
  int64_t next_expiry_ns() const override {
    if (line_.size() < 2) return INT64_MAX;
    return world_.requests[line_.front()].arrival_ns + world_.options->target_ns -
           static_cast<int64_t>(base_ + per_row_ * static_cast<double>(line_.size()));
  }

  void ended(uint32_t, uint32_t rows, int64_t took, int64_t) override {
    rows_[samples_ % kSamples] = rows;
    took_[samples_ % kSamples] = static_cast<double>(took);
    const size_t n = std::min<size_t>(++samples_, kSamples);
    if (samples_ % 8 != 0) return;  // BentoML fits every few batches, too
    double x = 0, y = 0, xx = 0, xy = 0, wait = 0;
    for (size_t i = 0; i < n; ++i) {
      x += rows_[i], y += took_[i], xx += rows_[i] * rows_[i], xy += rows_[i] * took_[i], wait += waits_[i];
    }
    const auto count = static_cast<double>(n);
    const double spread = xx * count - x * x;
    per_row_ = spread > 0 ? std::max(1.0, (xy * count - x * y) / spread) : y / x;
    base_ = std::max(0.0, (y - per_row_ * x) / count);
    mean_wait_ = wait / count;
  }

 private:
  static constexpr size_t kSamples = 100;
  static constexpr double kTick = 100'000;

  void shed(int64_t now, std::vector<uint32_t>* dropped) {
    while (!line_.empty() && next_expiry_ns() <= now) {
      dropped->push_back(line_.front());
      line_.pop_front();
    }
  }
  std::array<double, kSamples> rows_{}, took_{}, waits_{};
  size_t samples_ = 0;
  // Its first guesses: 2 ms for a batch and 1 ms of waiting.
  double per_row_ = 0, base_ = 2e6, mean_wait_ = 1e6;
};

}  // namespace

std::unique_ptr<Policy> make_regression(const World& world) { return std::make_unique<Regression>(world); }

}  // namespace subten::sim
