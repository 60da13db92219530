#pragma once

#include <napi.h>

namespace subten {

// onEngineLog(listener): `listener(engine, level, source, message)` is called for each line that the library of an
// engine logs, on this environment's thread, until the environment ends. It does not keep the process alive.
Napi::Value on_engine_log(const Napi::CallbackInfo& info);

}  // namespace subten
