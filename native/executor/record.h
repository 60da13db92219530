// The completion record that JS reads: written by native threads only, never trusted by them afterwards.
// Layout shared with src/runtime/record.ts; a test compares every offset.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/tensor.h"

namespace subten {

enum class CompletionKind : uint32_t { kPartial = 0, kFinal = 1, kError = 2 };
// kChunk: take() has copied it into the chunk of results.
enum class OutputSource : uint32_t { kSlab = 0, kEngine = 1, kAbsent = 2, kChunk = 3 };

struct RecordHeader {
  uint32_t slot;
  uint32_t generation;
  uint32_t kind;    // CompletionKind
  uint32_t status;  // Code, when kind is kError
  uint32_t reason;  // BatchReason
  uint32_t batch_rows;
  uint32_t rows;
  uint32_t batch_requests;
  double submit_ns;
  double leader_ns;
  double dispatch_ns;
  double start_ns;
  double end_ns;
  double complete_ns;
  double batch;  // its number, see BatchEntry; 0: it was in none
};
static_assert(sizeof(RecordHeader) == 88);

// One output of the completion; OutputSource::kEngine: ask takeOutput() for a copy.
struct OutputRecord {
  double offset;  // from the start of the slab, or of the chunk
  double bytes;
  uint32_t rank;
  uint32_t source;  // OutputSource
  double shape[kMaxRank];
};
static_assert(sizeof(OutputRecord) == 88);

inline size_t record_stride(size_t outputs) noexcept { return sizeof(RecordHeader) + outputs * sizeof(OutputRecord); }

// What JS writes before a submit whose inputs are not home rows: one entry an input.
struct StagedInput {
  double present;  // 0: absent optional input
  double bytes;    // kBytes only: length of the serialised strings
  double rank;
  double shape[kMaxRank];
};
static_assert(sizeof(StagedInput) == 88);

}  // namespace subten
