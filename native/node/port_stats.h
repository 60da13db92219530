// What `stats()` and `totals()` of a port object answer.
#pragma once

#include <napi.h>

#include "executor/port.h"

namespace subten {

// { counts: [submitted, succeeded, failed, cancelled, expired, refused], batches: [count, rows, inPlace, reasons…],
//   running: [batches, nanoseconds since the oldest of them was formed], stages: Float64Array[] of [sum, max, value,
//   count, value, count, …] in nanoseconds, extra: { names, stages } of the engine, memory: [bytes, used] }
Napi::Object port_stats(Napi::Env env, Port* port);

// (thresholdsNs: Float64Array): [submitted, succeeded, failed, cancelled, expired, refused, measured, within…] since
// the model was loaded, of all environments that use it.
Napi::Float64Array port_totals(Napi::Env env, Port* port, const Napi::Value& given);

}  // namespace subten
