#include "schedule/sim/figures.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace subten::sim {
namespace {

constexpr uint32_t kBits = 8;  // 256 buckets to a doubling

uint32_t bucket_of(uint64_t ns) {
  if (ns < (1u << kBits)) return static_cast<uint32_t>(ns);
  const auto shift = static_cast<uint32_t>(std::bit_width(ns)) - kBits - 1;
  return (shift << kBits) + static_cast<uint32_t>(ns >> shift);
}
int64_t middle_of(uint32_t bucket) {
  if (bucket < (2u << kBits)) return bucket;
  const uint32_t shift = (bucket >> kBits) - 1;
  const uint64_t low = uint64_t{bucket - (shift << kBits)} << shift;
  return static_cast<int64_t>(low + (uint64_t{1} << shift) / 2);
}

}  // namespace

void Latencies::add(int64_t ns) noexcept {
  const uint32_t bucket = bucket_of(static_cast<uint64_t>(std::max<int64_t>(0, ns)));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
}

int64_t Latencies::quantile(double q) const noexcept {
  if (count_ == 0) return 0;
  auto left = static_cast<int64_t>(std::ceil(q * static_cast<double>(count_)));
  for (uint32_t i = 0; i < buckets_.size(); ++i) {
    left -= buckets_[i];
    if (left <= 0) return middle_of(i);
  }
  return -1;
}

}  // namespace subten::sim
