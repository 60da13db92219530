// The life of an instance of a synchronous engine: lead, run, follow. See docs/architecture.md, "Forming batches".

#include <sched.h>

#include "executor/model_core.h"
#include "executor/process_state.h"
#include "executor/thread_setup.h"
#include "metrics/clock.h"

namespace subten {
// Looks at the inbox, and at what another leader left since `epoch`, for a bounded time before it sleeps, if the
// submitter is likely to be back soon, runs on another processor, and the process may spin one thread more. True when
// there is something.
bool ModelCore::spin_for_work(uint64_t epoch) noexcept {
  if (options_.wake == WakeMode::kPowersave) return false;
  if (think_ns_.load(std::memory_order_relaxed) >= spin_think_limit_ns()) return false;
  if (submit_cpu_.load(std::memory_order_relaxed) == ::sched_getcpu()) return false;
  SpinBudget& budget = process_state().spin;
  if (!budget.acquire()) return false;
  const int64_t until = monotonic_ns() + spin_window_ns();
  bool found = false;
  do {
    for (int i = 0; i < 32 && !found; ++i) {
      found = !inbox_.empty() || stopping_.load(std::memory_order_relaxed) ||
              (epoch_.load(std::memory_order_relaxed) != epoch && backlog_.load(std::memory_order_relaxed) > 0);
      pause_cpu();
    }
  } while (!found && !budget.exhausted() && monotonic_ns() < until);
  budget.release();
  return found;
}

void ModelCore::run_instance(uint32_t index) noexcept {
  set_up_thread("subten-run", true);
  if (elastic_ != nullptr && !elastic_->active_at(index) && !sleep_until_needed(index)) return;
  Batch* batch = batches_[index].get();
  MachineShare::Turn turn(share_, share_member_);
  int64_t busy_ns = elastic_ != nullptr ? monotonic_ns() : 0;  // when it last had something to do
  while (!stopping_.load(std::memory_order_seq_cst)) {         // model: instance.stopping
    int64_t wake = kNever;
    uint64_t epoch = 0;
    // relaxed: whoever asked for it has woken this thread or will.
    if (slo_ && remeasure_.load(std::memory_order_relaxed)) measure_again(batch);
    // Before a batch is formed: until it is the model's turn its requests stay in the queue, where more of them can
    // join and each can still expire.
    if (share_ != nullptr && work_waits()) take_place(&turn);
    const Formed formed = try_form(batch, &wake, &epoch);  // model: instance.try_form
    if (formed == Formed::kBatch) {
      if (share_ != nullptr && !turn.has_place()) turn.take();
      if (options_.wake != WakeMode::kPowersave) run_cpu_.store(::sched_getcpu(), std::memory_order_relaxed);
      batch->run();
      if (options_.batch.preserve_ordering) {
        turn.rest();  // the batch before may be waiting for this place
        while (batch->ended.load(std::memory_order_acquire) == 0) futex_wait(&batch->ended, 0, kNever);
      }
      batch->rest();
      if (elastic_ != nullptr) busy_ns = monotonic_ns();
      continue;
    }
    turn.rest();
    // Do not sleep for less than a wake-up takes.
    if (wake != kNever && wake <= monotonic_ns()) continue;
    if (wake == kNever && spin_for_work(epoch)) continue;
    parking_.prepare(index);
    // Having said that it parks, it looks once more: at the inbox, and, if another leader was at work since, at what
    // that one left. A leader that is still at work will look for parked instances itself.
    // model: instance.look.inbox
    const bool look_again = stopping_.load(std::memory_order_seq_cst) || !inbox_.empty() ||
                            (slo_ && remeasure_.load(std::memory_order_seq_cst)) ||
                            // model: instance.look.token, instance.look.epoch
                            (!token_.held() && epoch_.load(std::memory_order_seq_cst) != epoch &&
                             backlog_.load(std::memory_order_seq_cst) > 0);
    if (look_again) {
      parking_.cancel(index);
      continue;
    }
    if (elastic_ == nullptr || wake != kNever || !elastic_->above_least()) {
      parking_.wait(index, wake);
      continue;
    }
    // An instance above the least number. If its time is up and its bit still stood there, nobody had chosen it to look
    // for work: whoever comes later finds it gone, as if it computed, and there are others, which look before they
    // park.
    const int64_t leave_ns = busy_ns + elastic_->idle_ns();
    if (parking_.wait(index, leave_ns) || monotonic_ns() < leave_ns || !elastic_->leave(index)) continue;
    if (!sleep_until_needed(index)) return;
    busy_ns = monotonic_ns();
  }
}

}  // namespace subten
