// What scheduling by due times knows and has done, for JavaScript.
#pragma once

#include <napi.h>

#include "executor/port.h"

namespace subten {

// A Float64Array: 1 with an slo, requests admitted, refused, given up in the queue, ended late; rows a second that come
// and that all instances can do; lateness of this environment's loop in nanoseconds; instances that may run. Then for
// each size that was seen: rows, class of shapes, typical and high nanoseconds, samples, basis (see Basis).
Napi::Value slo_figures(Napi::Env env, Port& port);

}  // namespace subten
