// Deterministic batches: each is filled up with rows of zeros to max_batch_size before the engine sees it, and the
// outputs of those rows are dropped, so that the engine computes the same shape whoever else is in the batch.
//
// What is promised: the engine gets max_batch_size rows of the same layout every time, so it chooses the same kernels
// and shares them among its threads alike, and how many neighbours a row had does not change its answer.
// What is left to the model and the engine: that a row does not depend on what stands in the other rows, nor on its
// place among them. A model that computes over the whole batch (a mean, a scale of dynamic quantisation) does depend on
// them; so does an engine that adds in an order of its own from run to run. Rows keep their order: no place is chosen.
#pragma once

#include <cstddef>
#include <cstdint>

#include "memory/status.h"

namespace subten {

struct CoreOptions;
struct ModelSpec;

// Whether batches of this model can be filled up, and what to change if not.
Status check_padding(const ModelSpec& spec, const CoreOptions& options);

// Bytes of `to_rows` rows as long as those of `rows` rows of `bytes` bytes in all; false where that overflows.
inline bool padded_bytes(uint64_t bytes, uint32_t rows, uint32_t to_rows, uint64_t* padded) noexcept {
  return !__builtin_mul_overflow(bytes / rows, uint64_t{to_rows}, padded);
}

}  // namespace subten
