#pragma once

#include <napi.h>

namespace subten {

class PortObject;

// The JS object with one function a port operation, and the shared memory.
Napi::Object make_port_object(Napi::Env env, PortObject* port);

}  // namespace subten
