// Slow requests of a model with what was around them, in bounded memory: the last ones, and the slowest of each of the
// last minutes.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "flight/batch_log.h"
#include "memory/mapped_array.h"

namespace subten {

enum class SlowOutcome : uint32_t { kSucceeded = 0, kFailed = 1, kExpired = 2 };

struct SlowRequest {
  static constexpr uint32_t kPrevious = 8;
  static constexpr uint32_t kMates = 16;
  struct Mate {
    uint32_t slot;
    uint32_t generation;
  };

  uint64_t sequence = 0;  // from 1, in the order of being kept
  uint32_t slot = 0;
  uint32_t generation = 0;
  SlowOutcome outcome = SlowOutcome::kSucceeded;
  uint32_t loop = 0;  // whose thread submitted it, see HostWatch
  uint32_t rows = 0;
  int64_t submit_ns = 0, leader_ns = 0, dispatch_ns = 0, start_ns = 0, end_ns = 0;
  int64_t complete_ns = 0, drained_ns = 0, resolved_ns = 0;
  BatchEntry batch;  // number 0: it was in none, or the log has it no more
  // Between submit and dispatch: for how long every instance was at other batches, and at how many.
  int64_t behind_ns = 0;
  uint32_t behind = 0;
  uint32_t previous_count = 0;
  uint32_t mate_count = 0;
  std::array<BatchEntry, kPrevious> previous{};  // those of them that overlap most, longest first
  std::array<Mate, kMates> mates{};

  int64_t total_ns() const noexcept { return resolved_ns - submit_ns; }
};

class SlowLog {
 public:
  static constexpr uint32_t kRecent = 512;
  static constexpr uint32_t kMinutes = 10;
  static constexpr uint32_t kAMinute = 4;
  // Requests that may be kept in a second, beside those that are the slowest of their minute: where the limit is the
  // recorder's own, and where somebody has set one.
  static constexpr int64_t kASecond = 100;
  static constexpr int64_t kASecondAsked = 1000;
  static constexpr int64_t kBurst = 256;

  bool initialise() noexcept { return entries_.map(kRecent + kMinutes * kAMinute); }

  // Environments, at a request that is slow: whether there is room for one that took `total_ns`. Never waits.
  bool wants(int64_t total_ns, int64_t now_ns, int64_t a_second = kASecond) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    tokens_ = std::min(kBurst * kTokenNs, tokens_ + (now_ns - refilled_ns_));
    refilled_ns_ = now_ns;
    const int64_t price = 1'000'000'000 / a_second;
    if (tokens_ >= price) {
      tokens_ -= price;
      return true;
    }
    return total_ns > slowest_of_minute(now_ns, nullptr);
  }

  // Gives it its number. Never waits: one that meets a reader, or another writer, is not kept.
  bool keep(SlowRequest* request) noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    request->sequence = ++sequence_;
    entries_[request->sequence % kRecent] = *request;
    uint32_t place = 0;
    if (request->total_ns() > slowest_of_minute(request->resolved_ns, &place)) entries_[kRecent + place] = *request;
    return true;
  }

  // Those with a number above `since`, in their order.
  void read(uint64_t since, std::vector<SlowRequest>* out) const;
  uint64_t latest() const noexcept {
    const std::lock_guard lock(mutex_);
    return sequence_;
  }

 private:
  static constexpr int64_t kTokenNs = 1'000'000'000 / kASecond;  // the bucket holds kBurst of these

  // The least of those that are kept of the minute, and its place; 0 where one is free. With the lock.
  int64_t slowest_of_minute(int64_t now_ns, uint32_t* place) noexcept {
    const int64_t minute = now_ns / 60'000'000'000;
    const auto row = static_cast<uint32_t>(minute % kMinutes);
    if (minutes_[row] != minute) {
      minutes_[row] = minute;
      for (uint32_t i = 0; i < kAMinute; ++i) entries_[kRecent + row * kAMinute + i].sequence = 0;
    }
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < kAMinute; ++i) {
      const uint32_t at = row * kAMinute + i;
      const SlowRequest& each = entries_[kRecent + at];
      const int64_t total = each.sequence == 0 ? 0 : each.total_ns();
      if (total >= least) continue;
      least = total;
      if (place != nullptr) *place = at;
    }
    return least;
  }

  mutable std::mutex mutex_;
  MappedArray<SlowRequest> entries_;
  std::array<int64_t, kMinutes> minutes_{};
  uint64_t sequence_ = 0;
  int64_t tokens_ = kBurst * kTokenNs;
  int64_t refilled_ns_ = 0;
};

}  // namespace subten
