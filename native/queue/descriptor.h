// The descriptor of a request: a slot's native half. JS never sees it.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "queue/request_word.h"

namespace subten {

class Port;

inline constexpr uint32_t kNoSlot = UINT32_MAX;
inline constexpr int64_t kNever = INT64_MAX;

struct alignas(64) Descriptor {
  // First line: written by the submitter, before the inbox publishes it.
  RequestState state;
  std::atomic<uint32_t> inbox_next;  // link in the inbox, or in the slot pool while the slot is free
  uint32_t rows;                     // leading dimension of the request; 1 when the model does not batch
  Port* port;                        // alive until the port counted this request as finished
  int64_t submit_ns;                 // monotonic, as every time here
  int64_t deadline_ns;               // kNever: none
  int64_t timeout_ns;                // queue policy timeout, relative; kNever: none
  uint32_t generation;               // of the submission that the fields here describe
  uint16_t level;                    // priority level, 1 is the highest
  uint8_t flags;                     // kStaged, kExplicit
  uint8_t timeout_delays;            // timeout_action DELAY
  int64_t due_ns;                    // slo: when it must have ended, for order and batches; kNever: no slo

  // Second line: written by whoever holds the leader token.
  uint32_t queue_previous;
  uint32_t queue_next;
  int64_t leader_ns;
  int64_t expiry_ns;    // the earlier of deadline and timeout; key in the expiry heap
  uint32_t heap_index;  // place in the expiry heap, or kNoSlot
  uint8_t delayed;      // its timeout passed with action DELAY: behind the others of its level
  uint8_t shape_class;  // slo: written by the submitter, as is
  uint8_t due_bucket;   // where admission has counted its rows
  uint8_t unused;
  uint64_t arrival;            // position in the order of arrival
  uint64_t reserved_affinity;  // sequences: affinity key; kept free for the scheduler of sequences
  uint64_t reserved_parent;    // ensembles: parent request
  uint64_t reserved_shape;     // actual shape key

  static constexpr uint8_t kStaged = 1;    // inputs lie in extents of the slot's input records, not in its home rows
  static constexpr uint8_t kExplicit = 2;  // a claimed slot: results stay in the slab until it is released
};
static_assert(sizeof(Descriptor) == 128, "two cache lines");
static_assert(std::is_trivially_destructible_v<Descriptor>);

}  // namespace subten
