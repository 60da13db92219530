#include "schedule/admission.h"

#include <algorithm>
#include <new>

namespace subten {
namespace {

// While it refuses, a request must be predicted to end so much of the target before it is due: what hovers around the
// limit is refused for a while or admitted for a while, and not by turns.
constexpr int64_t kHysteresis = 16;

}  // namespace

bool Admission::initialise(int64_t target_ns, uint32_t batch_capacity, uint32_t instances,
                           const LatencyModel* latency) noexcept {
  target_ns_ = target_ns;
  width_ns_ = std::max<int64_t>(1, target_ns / 8);
  capacity_ = std::max<uint32_t>(1, batch_capacity);
  instances_ = instances;
  latency_ = latency;
  busy_until_.reset(new (std::nothrow) std::atomic<int64_t>[instances]());
  active_.store(instances, std::memory_order_relaxed);
  fill_.store(capacity_, std::memory_order_relaxed);
  return busy_until_ != nullptr;
}

int64_t Admission::first_free_ns(int64_t now_ns, uint32_t except) const noexcept {
  int64_t first = INT64_MAX;
  for (uint32_t i = 0; i < instances_; ++i) {
    if (i == except || is_away(i)) continue;
    const int64_t until = busy_until_[i].load(std::memory_order_relaxed);
    if (until == 0) return now_ns;
    // What has taken longer than it should by so much is expected to take as much again.
    first = std::min(first, until >= now_ns ? until : now_ns + (now_ns - until));
  }
  if (first == INT64_MAX && except == UINT32_MAX) return now_ns;  // all of them change just now
  return first;
}

uint8_t Admission::bucket_of(int64_t due_ns, int64_t now_ns) const noexcept {
  if (due_ns >= now_ns + (kBuckets - 1) * width_ns_) return kFar;
  return static_cast<uint8_t>((std::max(due_ns, now_ns) / width_ns_) % kBuckets);
}

// All rows of higher priority go before, and those of the same that are due in the same bucket or earlier.
Admission::Ahead Admission::look(uint32_t level, uint8_t bucket, int64_t now_ns) const noexcept {
  Ahead ahead;
  const auto first = static_cast<uint32_t>((now_ns / width_ns_) % kBuckets);
  for (uint32_t other = 0; other < kLevels; ++other) {
    const Level& from = levels_[other];
    bool passed = other > level;
    for (uint32_t i = 0; i <= kBuckets; ++i) {
      const uint32_t at = i == kBuckets ? kFar : (first + i) % kBuckets;
      const uint32_t rows = from.rows[at].load(std::memory_order_relaxed);
      (passed ? ahead.after : ahead.before) += rows;
      if (other == level && at == bucket) passed = true;
    }
  }
  return ahead;
}

// Whether some that were admitted for a later time would be late with `sum` rows before them.
bool Admission::pushes_out(uint32_t level, uint8_t bucket, uint64_t sum, const Pace& pace,
                           int64_t now_ns) const noexcept {
  if (bucket == kFar) return false;
  const auto first = static_cast<uint32_t>((now_ns / width_ns_) % kBuckets);
  const uint32_t own = (bucket + kBuckets - first) % kBuckets;
  const int64_t start = now_ns / width_ns_ * width_ns_;
  for (uint32_t i = own + 1; i < kBuckets; ++i) {
    const uint32_t more = levels_[level].rows[(first + i) % kBuckets].load(std::memory_order_relaxed);
    if (more == 0) continue;
    sum += more;
    // Due in the middle of their bucket, as far as one knows.
    if (pace.start_ns(sum - 1) + pace.high_ns > start + i * width_ns_ + width_ns_ / 2) return true;
  }
  return false;
}

Admission::Verdict Admission::admit(uint32_t level_number, uint32_t rows, int64_t due_ns, uint32_t shape_class,
                                    int64_t now_ns) noexcept {
  const uint32_t level = level_index(level_number);
  Verdict verdict;
  verdict.bucket = bucket_of(due_ns, now_ns);
  if (latency_->known(shape_class)) {
    const Ahead ahead = look(level, verdict.bucket, now_ns);
    const uint32_t active = std::max<uint32_t>(1, active_.load(std::memory_order_relaxed));
    const int64_t free = first_free_ns(now_ns);
    // What comes meanwhile with a higher priority goes first.
    const double left = 1 - levels_[level].share_above.load(std::memory_order_relaxed);
    const Pace pace{free, static_cast<double>(latency_->typical_ns(shape_class, capacity_)) / (active * left),
                    latency_->high_ns(shape_class, capacity_), fill_.load(std::memory_order_relaxed)};
    const int64_t start = pace.start_ns(ahead.before);
    // Its batch has those before it that fill none, and who joins until it starts.
    const double coming = arrival_rate_.load(std::memory_order_relaxed) * static_cast<double>(start - now_ns) / active;
    const double company = static_cast<double>(ahead.before % capacity_ + rows) +
                           std::min<double>(capacity_, start > now_ns ? static_cast<double>(ahead.after) + coming : 0);
    const auto size = static_cast<uint32_t>(std::min<double>(capacity_, company));
    const int64_t ends = start + latency_->high_ns(shape_class, std::max(size, rows));
    verdict.predicted_ns = ends - now_ns;
    const bool refusing = refusing_.load(std::memory_order_relaxed);
    int64_t margin = 0;
    if (ahead.before > 0)
      margin = margin_ns_.load(std::memory_order_relaxed) + (refusing ? target_ns_ / kHysteresis : 0);
    bool reachable = ends <= due_ns - margin;
    if (reachable && ahead.after > 0) {
      reachable = !pushes_out(level, verdict.bucket, ahead.before + rows, pace, now_ns);
      verdict.crowded = !reachable;
    }
    // relaxed, and written where it changes only: a hint.
    if (refusing == reachable) refusing_.store(!reachable, std::memory_order_relaxed);
    if (!reachable) {
      verdict.admitted = false;
      refused_.fetch_add(1, std::memory_order_relaxed);
      return verdict;
    }
  }
  levels_[level].rows[verdict.bucket].fetch_add(rows, std::memory_order_relaxed);
  levels_[level].admitted_rows.fetch_add(rows, std::memory_order_relaxed);
  admitted_.fetch_add(1, std::memory_order_relaxed);
  return verdict;
}

void Admission::leave(uint32_t level, uint32_t rows, uint8_t bucket) noexcept {
  if (bucket != kNone) levels_[level_index(level)].rows[bucket].fetch_sub(rows, std::memory_order_relaxed);
}

uint64_t Admission::waiting_rows() const noexcept {
  uint64_t rows = 0;
  for (const Level& level : levels_) {
    for (const auto& bucket : level.rows) rows += bucket.load(std::memory_order_relaxed);
  }
  return rows;
}

}  // namespace subten
