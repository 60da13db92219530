// Processes that Triton has started and that have ended without its knowing.
#pragma once

#include <sys/types.h>

#include <set>

namespace subten {

// Stubs of the Python backend, children of this process, that have ended and wait to be collected. Read from /proc.
std::set<pid_t> dead_python_stubs();

}  // namespace subten
