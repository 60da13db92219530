// A latency histogram with three significant digits over 1 ns to 137 s: the bucket layout of HdrHistogram
// (hdrhistogram.org, G. Tene), 2048 sub-buckets in the first bucket and 1024 in each doubling after it.
//
// One thread records; any thread reads meanwhile without stopping it.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "memory/mapped_array.h"

namespace subten {

// A snapshot of a distribution, nanoseconds.
struct HistogramSummary {
  uint64_t count = 0;
  double mean = 0;
  double p50 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;
};

class Histogram {
 public:
  static constexpr uint32_t kSubBits = 11;
  static constexpr uint32_t kHalf = 1u << (kSubBits - 1);
  static constexpr uint32_t kBuckets = 27;
  static constexpr uint32_t kCounters = (kBuckets + 1) * kHalf;
  static constexpr uint64_t kHighest = (uint64_t{1} << (kSubBits + kBuckets - 1)) - 1;

  bool initialise() noexcept { return counts_.map(kCounters); }

  static uint32_t index_of(uint64_t value) noexcept {
    const auto width = static_cast<uint32_t>(std::bit_width(value | (2 * kHalf - 1)));
    const uint32_t bucket = width - kSubBits;
    return bucket * kHalf + static_cast<uint32_t>(value >> bucket);
  }
  // The middle of the values that share counter `index`.
  static double value_at(uint32_t index) noexcept {
    if (index < 2 * kHalf) return index;
    const uint32_t bucket = index / kHalf - 1;
    const uint64_t low = uint64_t{index - bucket * kHalf} << bucket;
    return static_cast<double>(low) + static_cast<double>((uint64_t{1} << bucket) - 1) / 2;
  }

  void record(int64_t nanoseconds) noexcept {
    uint64_t value = nanoseconds < 0 ? 0 : static_cast<uint64_t>(nanoseconds);
    if (value > kHighest) value = kHighest;
    // Load and store instead of fetch_add: there is one writer. relaxed: counters only, no other data hangs on them.
    add(counts_[index_of(value)], 1);
    add(sum_, value);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  // Adds the counts of this histogram to plain arrays of kCounters counters.
  void add_to(uint64_t* counts, uint64_t* sum, uint64_t* max) const noexcept {
    for (uint32_t i = 0; i < kCounters; ++i) counts[i] += counts_[i].load(std::memory_order_relaxed);
    *sum += sum_.load(std::memory_order_relaxed);
    const uint64_t mine = max_.load(std::memory_order_relaxed);
    if (mine > *max) *max = mine;
  }

  // Adds what `other` has counted. This histogram has one writer: the caller.
  void fold(const Histogram& other) noexcept {
    for (uint32_t i = 0; i < kCounters; ++i) {
      const uint64_t count = other.counts_[i].load(std::memory_order_relaxed);
      if (count != 0) add(counts_[i], count);  // pages of zeros stay untouched
    }
    add(sum_, other.sum_.load(std::memory_order_relaxed));
  }

  // The largest value is looked for anew; a writer that records meanwhile may put the old one back.
  void forget_max() noexcept { max_.store(0, std::memory_order_relaxed); }

  // Only when nobody records, or when lost counts do not matter.
  void reset() noexcept {
    for (uint32_t i = 0; i < kCounters; ++i) counts_[i].store(0, std::memory_order_relaxed);
    sum_.store(0, std::memory_order_relaxed);
    max_.store(0, std::memory_order_relaxed);
  }

 private:
  static void add(std::atomic<uint64_t>& counter, uint64_t value) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }
  MappedArray<std::atomic<uint64_t>> counts_;
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
};

// Percentiles of kCounters counters: the smallest value such that at least that share of the counts is at or below it.
HistogramSummary summarise(const uint64_t* counts, uint64_t sum, uint64_t max) noexcept;

}  // namespace subten
