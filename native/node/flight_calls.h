// What the flight recorder kept, as lists of numbers: src/runtime/flight-record.ts reads them.
#pragma once

#include <napi.h>

#include "executor/port.h"

namespace subten {

// Numbers of one slow request, of one batch and of one batch-mate in flight_to_js().
inline constexpr uint32_t kSlowNumbers = 18;
inline constexpr uint32_t kBatchNumbers = 14;
inline constexpr uint32_t kMateNumbers = 2;
// Each with its batch, the batches before it and its mates, however many of them there are.
inline constexpr uint32_t kSlowStride =
    kSlowNumbers + (1 + SlowRequest::kPrevious) * kBatchNumbers + SlowRequest::kMates * kMateNumbers;

// Slow requests with a number above `since`, kSlowStride numbers each.
Napi::Value flight_to_js(Napi::Env env, ModelCore& core, uint64_t since);

// hostWatch(): { now, late, stalls, samples } of HostWatch, lists of numbers.
Napi::Value host_watch(const Napi::CallbackInfo& info);

}  // namespace subten
