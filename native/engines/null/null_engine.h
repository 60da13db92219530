// The engine without a model: echoes inputs to outputs, takes as long as it is told. For tests, measurements of
// everything around an engine, and simulations.
//
// Parameters: busy_us and busy_us_per_row (how long a batch takes), computes_on (cpu: that is processor time; device:
// the thread sleeps until shortly before the end), completion (sync, async), fail_every (each n-th request fails),
// parts (responses a request; other than 1 makes the model decoupled), crash_after (the n-th request raises SIGSEGV),
// hang_after (the n-th request never returns, not even when it is asked to).
#pragma once

#include "engines/engine.h"

namespace subten {

Engine* null_engine() noexcept;

}  // namespace subten
