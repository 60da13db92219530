#pragma once

namespace subten {

// Names the calling thread, blocks all signals in it (they belong to Node's threads), makes its timers exact
// (timer slack 1 ns instead of 50 µs), and, for compute threads, lets the event loop preempt it (nice 19).
void set_up_thread(const char* name, bool compute) noexcept;

}  // namespace subten
