// Whether a small model gains by the threads of the shared pool.
//
// Splitting an operator over threads costs some microseconds each time, and the threads take processors from the event
// loop: a model of a few dozen microseconds is slower with help than without. Nobody sets intra_op_thread_count for
// that, so it is measured when such a model is loaded.
#pragma once

#include <cstdint>

#include "engines/onnxruntime/session.h"

namespace subten {

// Median run times in nanoseconds, of one row and of the largest batch; 0 where it was not, or could not be, measured.
struct TrialTimes {
  int64_t one_row = 0;
  int64_t largest = 0;
};

// Whether `threads` threads are worth it: they serve one row a quarter faster, or the largest batch with three quarters
// of what so many threads could.
bool pool_pays(const TrialTimes& pool, const TrialTimes& alone, int threads) noexcept;

// Runs `model` on zeros, for a fraction of a second at most. Times stay 0 for a model that has inputs of unknown size
// or strings, that fails on zeros, or for which `worth_it_ns` passes before one row is done.
TrialTimes time_runs(const OrtModelState& model, int32_t max_batch_size, int64_t worth_it_ns);

// Runs `model` on zeros with 1, 2, 3, … rows up to `max_batch_size`, until `budget_ns` are spent. Returns the last
// number that ran; 0 for a model that has inputs of unknown size or strings, or that fails on zeros. Thread safe.
uint32_t run_sizes(const OrtModelState& model, int32_t max_batch_size, int64_t budget_ns) noexcept;

}  // namespace subten
