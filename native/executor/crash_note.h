// A line on stderr when the process dies of a signal while an engine runs: which model, engine and instance it was.
//
// Only where the environment variable SUBTEN_CRASH_NOTE is 1: signal handlers of a library would otherwise be in the
// way of those of Node and of the user. The signal still ends the process as it would have.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

namespace subten {

// What a batch says of itself; read by a signal handler while it runs.
struct RunNote {
  const char* label = "";  // model and engine
  uint32_t instance = 0;
  std::atomic<uint32_t> requests{0};
  std::atomic<pthread_t> thread{};

  // On the thread that is about to run. relaxed: enter_engine() publishes it.
  void begin(uint32_t count) noexcept {
    requests.store(count, std::memory_order_relaxed);
    thread.store(::pthread_self(), std::memory_order_relaxed);
  }
};

// Installs the handlers, once, if the environment asks for them.
void install_crash_note() noexcept;

}  // namespace subten
