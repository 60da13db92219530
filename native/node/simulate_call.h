#pragma once

#include <napi.h>

namespace subten {

// simulate(options: string): a promise of figures as JSON text, or of a status. Runs on a worker thread.
// src/cli/simulation.ts has the types of both.
Napi::Value simulate_call(const Napi::CallbackInfo& info);

}  // namespace subten
