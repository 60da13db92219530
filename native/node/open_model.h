#pragma once

#include <napi.h>

namespace subten {

// openModel(options): Promise of { handle, inputs, outputs, metadata, async } or { status, message }. The model file
// is read on a worker thread.
Napi::Value open_model(const Napi::CallbackInfo& info);

// measureLatencies(handle, maxBatchSize, filled): Promise of what batches of each size take, as text for the setting
// `latencyTable` of createPort(); '' where it cannot be measured. The handle is in use meanwhile.
Napi::Value measure_model(const Napi::CallbackInfo& info);

// createPort(handle, options, onWake): a port on a new core, or { status, message }. The handle is used up.
Napi::Value create_port(const Napi::CallbackInfo& info);

// attachPort(id, onWake): a port on the core that share() named, or { status, message }.
Napi::Value attach_port(const Napi::CallbackInfo& info);

}  // namespace subten
