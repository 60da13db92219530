#include "executor/process_state.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "engines/engine.h"
#include "executor/model_core.h"

namespace subten {
namespace {

// Instances that compute, for the exit handler. More than this many are counted but cannot be asked to terminate.
constexpr size_t kRunning = 256;
std::array<std::atomic<EngineInstance*>, kRunning> running{};
std::atomic<int32_t> running_count{0};

void at_exit(int status, void*) {
  ProcessState& state = process_state();
  state.exiting.store(true, std::memory_order_seq_cst);
  for (int waited_ms = 0; waited_ms < 200 && running_count.load(std::memory_order_seq_cst) > 0; ++waited_ms) {
    for (auto& place : running) {
      // The instance cannot be destroyed meanwhile: it leaves the table first, and stays alive until its thread ends.
      if (EngineInstance* instance = place.load(std::memory_order_acquire)) instance->terminate();
    }
    ::usleep(1000);
  }
  if (running_count.load(std::memory_order_seq_cst) > 0) {
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

void enter_engine(EngineInstance* instance) noexcept {
  // seq_cst: either the exit handler counts this run, or the run sees `exiting`.
  running_count.fetch_add(1, std::memory_order_seq_cst);
  for (auto& place : running) {
    EngineInstance* expected = nullptr;
    if (place.load(std::memory_order_relaxed) == nullptr &&
        place.compare_exchange_strong(expected, instance, std::memory_order_release, std::memory_order_relaxed)) {
      return;
    }
  }
}

void leave_engine(EngineInstance* instance) noexcept {
  for (auto& place : running) {
    EngineInstance* expected = instance;
    if (place.load(std::memory_order_relaxed) == instance &&
        place.compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      break;
    }
  }
  running_count.fetch_sub(1, std::memory_order_seq_cst);
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
