// What config.pbtxt and the options of load() say about queueing and batching, resolved. Triton's names and meanings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace subten {

// Queue policy of one priority level.
struct LevelPolicy {
  uint32_t max_queue_size = 4096;  // requests
  int64_t timeout_ns = 0;          // 0: none
  bool timeout_delays = false;     // timeout_action DELAY instead of REJECT
  bool allow_timeout_override = false;
};

// `slo`: requests have due times, and batches, order and admission follow from them. See docs/batching.md.
struct SloSettings {
  int64_t target_ns = 0;  // what 99 % of the requests are to keep, from submit to resolution; 0: no slo
  bool on() const noexcept { return target_ns > 0; }
};

struct BatchSettings {
  uint32_t max_batch_size = 0;      // rows; 0: the model has no batch dimension
  bool dynamic = false;             // requests may share a batch
  std::vector<uint32_t> preferred;  // ascending
  int64_t max_queue_delay_ns = 0;
  uint32_t default_level = 1;
  std::vector<LevelPolicy> levels{LevelPolicy{}};  // levels[0] is priority 1
  bool preserve_ordering = false;
  SloSettings slo;

  // Most rows, and most requests, that one batch can have: no more than there can be slots, however large the batch.
  static constexpr uint32_t kMaxRequests = 1u << 16;
  uint32_t batch_capacity() const noexcept { return std::max<uint32_t>(1, max_batch_size); }
  uint32_t requests_capacity() const noexcept { return dynamic ? std::min(batch_capacity(), kMaxRequests) : 1; }
};

}  // namespace subten
