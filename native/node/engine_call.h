#pragma once

#include <napi.h>

namespace subten {

// engineCall(engine, method, args: (string | Uint8Array)[]): a promise of text, or of a status. Runs on a worker
// thread.
Napi::Value engine_call(const Napi::CallbackInfo& info);

}  // namespace subten
