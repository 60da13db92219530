#include "executor/process_state.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "engines/engine.h"
#include "executor/crash_note.h"
#include "executor/model_core.h"

namespace subten {
namespace {

// Instances that compute, for the exit handler. More than this many are counted but cannot be asked to terminate.
constexpr size_t kRunning = 1024;
std::array<std::atomic<uintptr_t>, kRunning> running{};
std::array<std::atomic<const RunNote*>, kRunning> notes{};  // beside them
constexpr uintptr_t kTerminating = 1;  // somebody is inside terminate() of the instance at this place
std::atomic<int32_t> running_count{0};

void at_exit(int status, void*) {
  ProcessState& state = process_state();
  state.exiting.store(true, std::memory_order_seq_cst);
  state.host.stop();
  for (int waited_ms = 0; waited_ms < 200 && running_count.load(std::memory_order_seq_cst) > 0; ++waited_ms) {
    for (auto& place : running) {
      uintptr_t instance = place.load(std::memory_order_acquire);
      // Marked, it cannot leave the table, so it is not destroyed meanwhile.
      if (instance == 0 || (instance & kTerminating) != 0) continue;
      if (!place.compare_exchange_strong(instance, instance | kTerminating)) continue;
      reinterpret_cast<EngineInstance*>(instance)->terminate();
      place.store(instance, std::memory_order_release);
    }
    ::usleep(1000);
  }
  bool stopped = true;
  const bool idle = running_count.load(std::memory_order_seq_cst) == 0;
  for (Engine* engine : all_engines()) stopped = engine->stop_at_exit(idle) && stopped;
  if (!stopped || !idle) {
    std::fflush(nullptr);
    ::_exit(status);
  }
}

}  // namespace

ProcessState::ProcessState() : cpus(read_cpu_limits()), spin(cpus.used) {}

ProcessState& process_state() noexcept {
  static ProcessState* state =
      new ProcessState();  // NOLINT(bugprone-unhandled-exception-at-new): without it nothing works
  return *state;
}

void register_exit_handler() noexcept { ::on_exit(at_exit, nullptr); }

void enter_engine(EngineInstance* instance, const RunNote* note) noexcept {
  // seq_cst: either the exit handler counts this run, or the run sees `exiting`.
  running_count.fetch_add(1, std::memory_order_seq_cst);
  for (size_t i = 0; i < kRunning; ++i) {
    uintptr_t expected = 0;
    if (running[i].load(std::memory_order_relaxed) == 0 &&
        running[i].compare_exchange_strong(expected, reinterpret_cast<uintptr_t>(instance), std::memory_order_seq_cst,
                                           std::memory_order_relaxed)) {
      notes[i].store(note, std::memory_order_release);  // pairs with each_running()
      return;
    }
  }
}

void each_running(void (*visit)(const RunNote& note, void* context), void* context) noexcept {
  for (const auto& note : notes) {
    if (const RunNote* found = note.load(std::memory_order_acquire)) visit(*found, context);
  }
}

void leave_engine(EngineInstance* instance) noexcept {
  const auto mine = reinterpret_cast<uintptr_t>(instance);
  for (size_t i = 0; i < kRunning; ++i) {
    std::atomic<uintptr_t>& place = running[i];
    if ((place.load(std::memory_order_relaxed) & ~kTerminating) != mine) continue;
    notes[i].store(nullptr, std::memory_order_relaxed);  // before another run can have the place
    // acquire: terminate() is over before the instance can be used again or destroyed.
    for (uintptr_t expected = mine;
         !place.compare_exchange_strong(expected, 0, std::memory_order_acq_rel, std::memory_order_relaxed);
         expected = mine) {
      ::sched_yield();
    }
    break;
  }
  running_count.fetch_sub(1, std::memory_order_seq_cst);
}

void terminate_if_abandoned(EngineInstance* instance, const BatchCompletion& batch) noexcept {
  const auto mine = reinterpret_cast<uintptr_t>(instance);
  for (auto& place : running) {
    uintptr_t expected = place.load(std::memory_order_seq_cst);  // see RequestState::cancel()
    if ((expected & ~kTerminating) != mine) continue;
    for (expected = mine; !place.compare_exchange_strong(expected, mine | kTerminating); expected = mine) {
      if ((expected & ~kTerminating) != mine) return;  // the run is over
      ::sched_yield();
    }
    // Marked, it cannot leave the table: the batch is still the one that runs.
    if (batch.abandoned()) instance->terminate();
    place.store(mine, std::memory_order_release);
    return;
  }
}

std::string CoreRegistry::add(const std::shared_ptr<ModelCore>& core) {
  std::lock_guard lock(mutex_);
  static uint64_t* counter = new uint64_t(0);
  std::string id = std::to_string(::getpid()) + "-" + std::to_string(++*counter);
  cores_.emplace(id, core);
  return id;
}

std::shared_ptr<ModelCore> CoreRegistry::find(const std::string& id) {
  std::lock_guard lock(mutex_);
  const auto found = cores_.find(id);
  return found == cores_.end() ? nullptr : found->second.lock();
}

void CoreRegistry::remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  cores_.erase(id);
}

}  // namespace subten
