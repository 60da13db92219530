// Process-wide state: one object that is never destroyed, so that threads may touch it while the process exits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "executor/cpu_limits.h"
#include "executor/host_watch.h"
#include "executor/timekeeper.h"

namespace subten {

class ModelCore;

// How many threads may spin at once: cpus − 1 − busy compute threads. The thread of the environment is the 1.
class SpinBudget {
 public:
  explicit SpinBudget(uint32_t cpus) noexcept : cpus_(static_cast<int32_t>(cpus)) {}

  bool acquire() noexcept {
    // relaxed: an estimate that costs nothing to be off by one for a moment.
    const int32_t allowed = cpus_ - 1 - busy_.load(std::memory_order_relaxed);
    if (spinners_.fetch_add(1, std::memory_order_relaxed) < allowed) return true;
    spinners_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void release() noexcept { spinners_.fetch_sub(1, std::memory_order_relaxed); }
  bool exhausted() const noexcept {
    return spinners_.load(std::memory_order_relaxed) > cpus_ - 1 - busy_.load(std::memory_order_relaxed);
  }
  void computing(int32_t change) noexcept { busy_.fetch_add(change, std::memory_order_relaxed); }
  int32_t busy() const noexcept { return busy_.load(std::memory_order_relaxed); }

 private:
  const int32_t cpus_;
  alignas(64) std::atomic<int32_t> spinners_{0};
  alignas(64) std::atomic<int32_t> busy_{0};
};

// Loaded models by share token.
class CoreRegistry {
 public:
  std::string add(const std::shared_ptr<ModelCore>& core);
  std::shared_ptr<ModelCore> find(const std::string& id);
  void remove(const std::string& id);

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<ModelCore>> cores_;
};

struct ProcessState {
  ProcessState();
  const CpuLimits cpus;
  SpinBudget spin;
  CoreRegistry registry;
  Timekeeper timekeeper;
  HostWatch host;
  // Set by the exit handler: no batch is started any more.
  std::atomic<bool> exiting{false};
};

ProcessState& process_state() noexcept;

// Registers the handler that runs at exit(): stops admission, asks runs to terminate, waits at most 200 ms, and ends
// the process with _exit(status) if one still computes, since static state of an engine's library is about to be
// destroyed under it. Call it after each engine library was loaded, so that it runs before that library's handlers.
void register_exit_handler() noexcept;

// Engine instances that compute now, for the exit handler and for runs that nobody waits for.
class BatchCompletion;
class EngineInstance;
struct RunNote;
void enter_engine(EngineInstance* instance, const RunNote* note) noexcept;
void leave_engine(EngineInstance* instance) noexcept;
// Ends the run of this instance if one is on and every request of its batch was given up.
void terminate_if_abandoned(EngineInstance* instance, const BatchCompletion& batch) noexcept;
// What runs now, for a note on a crash: calls `visit` for each. Async-signal-safe if `visit` is.
void each_running(void (*visit)(const RunNote& note, void* context), void* context) noexcept;

}  // namespace subten
