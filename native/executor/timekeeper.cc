#include "executor/timekeeper.h"

#include <algorithm>
#include <thread>

#include "executor/model_core.h"
#include "executor/thread_setup.h"
#include "metrics/clock.h"
#include "queue/parking.h"

namespace subten {

void Timekeeper::add(ModelCore* core) {
  std::lock_guard lock(mutex_);
  cores_.push_back(core);
  {
    std::lock_guard grave(grave_mutex_);
    buried_.reserve(cores_.size());
  }
  if (!started_) {
    std::thread([this] { run(); }).detach();
    started_ = true;
  }
}

void Timekeeper::remove(ModelCore* core) {
  std::lock_guard lock(mutex_);
  std::erase(cores_, core);
}

void Timekeeper::arm(int64_t when_ns) noexcept {
  // seq_cst: the core's due time was stored before; pairs with the order in run().
  if (when_ns >= sleeping_until_.load(std::memory_order_seq_cst)) return;
  word_.fetch_add(1, std::memory_order_seq_cst);
  futex_wake(&word_);
}

// relaxed: only that thread itself can read its own id here.
bool Timekeeper::on_its_thread() const noexcept {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void Timekeeper::bury(std::shared_ptr<ModelCore> core) noexcept {
  {
    std::lock_guard lock(grave_mutex_);
    // Buried before, it has its reference there, and this one is not the last.
    if (std::find(buried_.begin(), buried_.end(), core) == buried_.end()) buried_.push_back(std::move(core));
  }
  word_.fetch_add(1, std::memory_order_seq_cst);
  futex_wake(&word_);
}

// A core that was buried is entered no more: one whose completions have all left goes, the others are looked at again
// a little later. True when there are others.
namespace {

// Drops a core where that holds nobody up.
struct Burial {
  std::shared_ptr<ModelCore> core;

  ~Burial() {
    if (!core || !core->engine_model().slow_to_close()) return;
    try {
      std::thread([last = core] {}).detach();
    } catch (...) {  // no thread to be had: then here
    }
  }
};

}  // namespace

bool Timekeeper::drop_quiet() noexcept {
  for (;;) {
    Burial core;  // destroyed outside the locks, since its destructor comes back here
    std::lock_guard lock(grave_mutex_);
    const auto quiet = std::find_if(buried_.begin(), buried_.end(), [](const auto& each) { return each->quiet(); });
    if (quiet == buried_.end()) return !buried_.empty();
    core.core = std::move(*quiet);
    buried_.erase(quiet);
  }
}

void Timekeeper::run() noexcept {
  set_up_thread("subten-time", false);
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  for (;;) {
    const uint32_t word = word_.load(std::memory_order_seq_cst);
    // While it looks it counts as sleeping for ever: whoever arms meanwhile changes the word.
    sleeping_until_.store(INT64_MAX, std::memory_order_seq_cst);
    int64_t next = INT64_MAX;
    {
      std::lock_guard lock(mutex_);
      for (ModelCore* core : cores_) next = std::min(next, core->tick(monotonic_ns()));
    }
    if (drop_quiet()) next = std::min(next, monotonic_ns() + 1'000'000);
    sleeping_until_.store(next, std::memory_order_seq_cst);
    futex_wait(&word_, word, next);
  }
}

}  // namespace subten
