// A timer of one event loop that is exact to the kernel's own timers, where those of Node are 1 ms grained: a timerfd
// (timerfd_create(2)) that the loop polls. No thread is kept awake for it, and one wake is all it takes.
#pragma once

#include <napi.h>

namespace subten {

// loopTimer(onDue): { arm(microseconds), close() }, or the errno where the kernel has none to give. `arm` replaces what
// was armed before; `onDue` is a callback of the event loop. An armed timer keeps the process alive;
// close(), or letting go of the object, ends it.
Napi::Value loop_timer(const Napi::CallbackInfo& info);

}  // namespace subten
