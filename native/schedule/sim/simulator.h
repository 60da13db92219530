// A discrete-event simulation of one model under a load: the production policy, or one of those it is compared with,
// under a virtual clock. The same options give the same figures.
#pragma once

#include "schedule/sim/figures.h"
#include "schedule/sim/options.h"

namespace subten::sim {

// False without memory. `left_rows`: rows that admission still counts when everything has ended.
bool simulate(const Options& options, Figures* figures, uint64_t* left_rows = nullptr);

// Rows a second that all instances can do at their best size.
double saturation(const Options& options);

}  // namespace subten::sim
