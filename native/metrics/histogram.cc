#include "metrics/histogram.h"

#include <algorithm>
#include <cmath>

namespace subten {

HistogramSummary summarise(const uint64_t* counts, uint64_t sum, uint64_t max) noexcept {
  HistogramSummary summary;
  for (uint32_t i = 0; i < Histogram::kCounters; ++i) summary.count += counts[i];
  if (summary.count == 0) return summary;
  summary.mean = static_cast<double>(sum) / static_cast<double>(summary.count);
  summary.max = static_cast<double>(max);
  const struct {
    double share;
    double* value;
  } wanted[] = {{0.5, &summary.p50}, {0.95, &summary.p95}, {0.99, &summary.p99}, {0.999, &summary.p999}};
  uint64_t seen = 0;
  uint32_t index = 0;
  for (const auto& [share, value] : wanted) {
    const auto rank =
        std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(summary.count))));
    while (index < Histogram::kCounters && seen + counts[index] < rank) seen += counts[index++];
    *value = std::min(Histogram::value_at(index), summary.max);
  }
  return summary;
}

}  // namespace subten
