// The way of a request through its model: counted in, through the inbox into the queue, into a batch, out in order.
// Only the leader runs what says so. The rest of ModelCore, its life, ports and figures, is in model_core.cc.
#include <algorithm>
#include <bit>
#include <utility>

#include "executor/model_core.h"
#include "executor/process_state.h"
#include "metrics/clock.h"

namespace subten {

// --- submitting ----------------------------------------------------------------------------------------------------

Code ModelCore::admit(uint32_t level) noexcept {
  if (stopping_.load(std::memory_order_relaxed) || process_state().exiting.load(std::memory_order_relaxed)) {
    return Code::kModelClosed;
  }
  const uint32_t most = options_.batch.levels[level - 1].max_queue_size;
  // Looked at before it is counted: a full queue refuses without writing to the line that every submitter writes to.
  if (queued_[level].load(std::memory_order_relaxed) >= most) return Code::kQueueFull;
  // relaxed: a count; the inbox orders the request itself.
  if (queued_[level].fetch_add(1, std::memory_order_relaxed) < most) return Code::kOk;
  queued_[level].fetch_sub(1, std::memory_order_relaxed);
  return Code::kQueueFull;
}

void ModelCore::enqueue(uint32_t slot) noexcept {
  const Descriptor& descriptor = descriptors_[slot];
  const uint32_t rows = descriptor.rows;
  const int64_t deadline = descriptor.deadline_ns;
  const int64_t timeout = descriptor.timeout_ns;
  const int64_t submit = descriptor.submit_ns;
  const bool staged = (descriptor.flags & Descriptor::kStaged) != 0;
  const int64_t expiry = std::min(deadline, timeout == kNever ? kNever : submit + timeout);
  inbox_.push(descriptors_.data(), slot);  // from here the request may end at any time
  if (model_->completion() == Completion::kAsync) {
    pump();  // model: enqueue.pump
    if (expiry != kNever) request_tick(expiry);
    return;
  }
  if (!parking_.any()) {
    // All instances compute (or one spins and will see it): only the clock is left to watch.
    if (expiry != kNever) request_tick(expiry);
    return;
  }
  const int64_t delay_until = delay_until_.load(std::memory_order_seq_cst);  // model: enqueue.delay_until
  if (delay_until != 0 && !staged && expiry > delay_until + BatchPolicy::kDeadlineMarginNs) {
    // A batch waits for company and this request does not complete it: its timer will take it along.
    // model: enqueue.rows_wanted
    if (rows_wanted_.fetch_sub(rows, std::memory_order_seq_cst) > static_cast<int64_t>(rows)) return;
  }
  parking_.wake_one();  // model: enqueue.wake
}

void ModelCore::cancelled_in_queue(uint32_t level) noexcept {
  queued_[level].fetch_sub(1, std::memory_order_relaxed);
  const uint32_t dead = dead_.fetch_add(1, std::memory_order_relaxed) + 1;  // model: core.cancelled_in_queue
  if (dead < 64 || dead * 2 < backlog_.load(std::memory_order_relaxed)) return;
  // model: cancelled_in_queue.try_lock
  if (!token_.try_lock()) return;  // whoever holds it drops the dead on its way
  drop_all_dead();
  token_.unlock();  // model: cancelled_in_queue.hand_over
  hand_over();
}

void ModelCore::cancelled_in_run() noexcept {
  // An engine instance that goes meanwhile must not be looked at.
  std::unique_lock<std::mutex> lock;
  if (elastic_ != nullptr) lock = std::unique_lock(elastic_->instances());
  for (const auto& batch : batches_) {
    if (batch->instance() != nullptr) terminate_if_abandoned(batch->instance(), *batch);
  }
}

// Leader: compacts the queue.
void ModelCore::drop_all_dead() noexcept {
  drain_inbox(monotonic_ns());  // model: core.drop_all_dead
  for (uint32_t slot = queue_.first(); slot != kNoSlot;) {
    const uint32_t next = queue_.next(slot);
    if (RequestWord::phase(descriptors_[slot].state.load()) != Phase::kQueued) drop_dead(slot);
    slot = next;
  }
  if (queue_.size() == 0) delay_until_.store(0, std::memory_order_seq_cst);
  backlog_.store(queue_.size(), std::memory_order_seq_cst);
  epoch_.fetch_add(1, std::memory_order_seq_cst);
}

// A leader that runs no batch itself (the timekeeper, a submitter that compacts) has put the token down: an instance
// may have found it taken and parked meanwhile, relying on the leader to look for it.
void ModelCore::hand_over() noexcept {
  if (backlog_.load(std::memory_order_seq_cst) == 0 && inbox_.empty()) return;  // model: hand_over.look
  if (model_->completion() == Completion::kSync) {
    parking_.wake_one();
  } else {
    pump();
  }
}

void ModelCore::request_tick(int64_t when_ns) noexcept {
  int64_t due = due_ns_.load(std::memory_order_seq_cst);
  while (when_ns < due) {
    if (due_ns_.compare_exchange_weak(due, when_ns, std::memory_order_seq_cst)) {
      process_state().timekeeper.arm(when_ns);
      return;
    }
  }
}

// --- the leader ------------------------------------------------------------------------------------------------------

void ModelCore::drain_inbox(int64_t now_ns) noexcept {
  for (uint32_t slot = inbox_.take(descriptors_.data()); slot != kNoSlot;) {  // model: core.drain_inbox
    const uint32_t next = descriptors_[slot].inbox_next.load(std::memory_order_relaxed);
    descriptors_[slot].leader_ns = now_ns;
    queue_.add(slot);
    if (slo_) slo_->arrived(descriptors_[slot].rows, now_ns);
    slot = next;
  }
}

void ModelCore::drop_dead(uint32_t slot) noexcept {
  queue_.remove(slot);
  leave_admission(slot);
  dead_.fetch_sub(1, std::memory_order_relaxed);
  Port* port = descriptors_[slot].port;  // model: core.drop_dead
  if (descriptors_[slot].state.drop_native()) recycle_to_pool(slot);
  port_finished(port, 1);
}

void ModelCore::expire(int64_t now_ns) noexcept {
  for (uint32_t slot = queue_.pop_expired(now_ns); slot != kNoSlot; slot = queue_.pop_expired(now_ns)) {
    leave_admission(slot);
    end_expired(slot, now_ns);
  }
}

// Ends a request that was taken out of the queue.
void ModelCore::end_expired(uint32_t slot, int64_t now_ns) noexcept {
  Descriptor& descriptor = descriptors_[slot];
  Port* port = descriptor.port;
  RecordHeader* header = port->header(slot);
  header->slot = slot;
  header->generation = descriptor.generation;
  header->kind = static_cast<uint32_t>(CompletionKind::kError);
  header->status = static_cast<uint32_t>(Code::kDeadlineExceeded);
  header->reason = header->batch_rows = header->batch_requests = 0;
  header->rows = descriptor.rows;
  header->submit_ns = static_cast<double>(descriptor.submit_ns);
  header->leader_ns = static_cast<double>(descriptor.leader_ns);
  header->dispatch_ns = header->start_ns = header->end_ns = static_cast<double>(now_ns);
  header->batch = 0;
  header->complete_ns = static_cast<double>(now_ns);
  const uint32_t level = descriptor.level;
  if (descriptor.state.end(Phase::kExpired)) {  // model: core.expire, word.expire
    queued_[level].fetch_sub(1, std::memory_order_relaxed);
    port->push(slot);
    port->wake();
  } else {  // cancelled before
    dead_.fetch_sub(1, std::memory_order_relaxed);
    if (descriptor.state.drop_native()) recycle_to_pool(slot);
  }
  port_finished(port, 1);
}

bool ModelCore::compatible(uint32_t a, uint32_t b) noexcept {
  const bool staged_a = (descriptors_[a].flags & Descriptor::kStaged) != 0;
  const bool staged_b = (descriptors_[b].flags & Descriptor::kStaged) != 0;
  if (!staged_a && !staged_b) return true;
  const auto& specs = model_->spec().inputs;
  for (size_t index = 0; index < input_count_; ++index) {
    const InputRecord* left = staged_a ? &input(a, index) : nullptr;
    const InputRecord* right = staged_b ? &input(b, index) : nullptr;
    const bool present_a = left == nullptr || left->present != 0;
    const bool present_b = right == nullptr || right->present != 0;
    if (present_a != present_b) return false;
    if (!present_a || specs[index].ragged) continue;
    for (size_t dim = 1; dim < specs[index].shape.size(); ++dim) {
      const int64_t dim_a = left != nullptr ? left->shape[dim] : specs[index].shape[dim];
      const int64_t dim_b = right != nullptr ? right->shape[dim] : specs[index].shape[dim];
      if (dim_a != dim_b) return false;
    }
  }
  return true;
}

// Nothing goes: the leader waits until `wake_ns`, or until `rows_wanted` rows more are there.
void ModelCore::wait_for_more(int64_t wake_ns, uint32_t rows_wanted) noexcept {
  // rows_wanted_ first: a submitter that sees the new time must count against the new rows. One that counted against
  // the old ones has pushed before, and this instance looks at the inbox before it parks.
  rows_wanted_.store(rows_wanted, std::memory_order_seq_cst);                      // model: form.rows_wanted
  delay_until_.store(queue_.size() > 0 ? wake_ns : 0, std::memory_order_seq_cst);  // model: form.delay_until
}

void ModelCore::begin_batch(Batch* batch, int64_t now_ns) noexcept {
  delay_until_.store(0, std::memory_order_seq_cst);  // model: form.delay_over
  batch->begin(now_ns);
}

// Takes a request from the queue into the batch, unless it was cancelled since it was offered.
void ModelCore::take_into(Batch* batch, uint32_t slot) noexcept {
  Descriptor& descriptor = descriptors_[slot];
  if (!descriptor.state.run()) return drop_dead(slot);  // model: form.run
  queue_.remove(slot);
  leave_admission(slot);
  queued_[descriptor.level].fetch_sub(1, std::memory_order_relaxed);
  batch->add(slot, descriptor.rows);
  batch->set_shape_class(descriptor.shape_class);
}

bool ModelCore::form(Batch* batch, int64_t now_ns, int64_t* wake_ns) noexcept {
  if (slo_) return form_by_due(batch, now_ns, wake_ns);
  BatchPolicy policy(options_.batch);
  uint32_t head = kNoSlot;
  for (uint32_t slot = queue_.first(); slot != kNoSlot && !policy.closed();) {  // model: form.offer
    const uint32_t next = queue_.next(slot);
    const Descriptor& descriptor = descriptors_[slot];
    if (RequestWord::phase(descriptor.state.load()) != Phase::kQueued) {
      drop_dead(slot);
    } else {
      if (head == kNoSlot) head = slot;
      if (!policy.offer(descriptor.rows, compatible(head, slot), descriptor.submit_ns)) break;
    }
    slot = next;
  }
  const BatchPolicy::Decision decision = policy.decide(now_ns, queue_.next_expiry_ns());
  if (decision.requests == 0) {
    *wake_ns = std::min(decision.wake_ns, queue_.next_expiry_ns());
    wait_for_more(*wake_ns, decision.rows_wanted);
    return false;
  }
  begin_batch(batch, now_ns);
  uint32_t slot = queue_.first();
  for (uint32_t taken = 0; taken < decision.requests && slot != kNoSlot; ++taken) {
    const uint32_t next = queue_.next(slot);
    take_into(batch, slot);
    slot = next;
  }
  if (batch->request_count() == 0) {
    *wake_ns = now_ns;  // all of them were cancelled: look again
    return false;
  }
  batch->seal(decision.reason, next_ticket_++);
  return true;
}

ModelCore::Formed ModelCore::try_form(Batch* batch, int64_t* wake_ns, uint64_t* epoch) noexcept {
  if (!token_.try_lock()) {
    *epoch = kAnyEpoch;  // model: try_form.busy
    return Formed::kBusy;
  }
  const int64_t now = monotonic_ns();
  if (slo_ && batch != nullptr) learn_from(batch, now);
  drain_inbox(now);
  expire(now);
  *wake_ns = kNever;
  const bool formed = batch != nullptr && form(batch, now, wake_ns);
  // Nobody may be watching the clock for a batch any more whose requests have all expired.
  // model: try_form.nobody_waits
  if (batch == nullptr && queue_.size() == 0) delay_until_.store(0, std::memory_order_seq_cst);
  const int64_t expiry = queue_.next_expiry_ns();
  // seq_cst: what an instance reads after it has said that it parks, see run_instance().
  backlog_.store(queue_.size(), std::memory_order_seq_cst);
  *epoch = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;  // model: core.publish
  token_.unlock();
  if ((formed || batch == nullptr) && expiry != kNever) request_tick(expiry);
  if (formed && elastic_ != nullptr) note_backlog(now);
  // Work that this leader leaves behind is for another instance, if one is idle. An instance that formed nothing looks
  // after the backlog itself: it is a batch that waits.
  if (batch == nullptr) {  // model: try_form.hand_over
    hand_over();
  } else if (model_->completion() == Completion::kSync) {
    // model: try_form.wake_more
    if ((formed && backlog_.load(std::memory_order_seq_cst) > 0) || !inbox_.empty()) parking_.wake_one();
  }
  return formed ? Formed::kBatch : Formed::kWait;
}

// --- instances of synchronous engines: see instance.cc -----------------------------------------------------------

void ModelCore::end_in_order(Batch* batch) noexcept {
  // The one lock on this path, for models that ask for ordering: batches end in the order of their tickets, and
  // whoever ends the next one also ends those that waited for it.
  std::unique_lock lock(order_mutex_);
  order_waiting_[batch->index()] = batch;
  for (;;) {
    Batch* next = nullptr;
    for (Batch*& waiting : order_waiting_) {
      if (waiting != nullptr && waiting->ticket() == order_next_) {
        next = waiting;
        waiting = nullptr;
        break;
      }
    }
    if (next == nullptr) return;
    next->end_requests();
    ++order_next_;
    if (model_->completion() == Completion::kAsync) {
      lock.unlock();
      give_back(next);
      lock.lock();
    } else {
      next->ended.store(1, std::memory_order_release);
      futex_wake(&next->ended);
    }
  }
}

// --- asynchronous engines ---------------------------------------------------------------------------------------

void ModelCore::give_back(Batch* batch) noexcept {
  // model: pump.give_back
  free_instances_[batch->index() / 64].fetch_or(uint64_t{1} << (batch->index() % 64), std::memory_order_seq_cst);
  pump();
}

void ModelCore::pump() noexcept {
  // A run that ends at once comes back here in its own run(): the loop below goes on with it, without recursion.
  static thread_local ModelCore* pumping = nullptr;
  if (pumping == this) return;
  ModelCore* const outer = std::exchange(pumping, this);
  pump_all();
  pumping = outer;
}

// The lowest-numbered instance that is free, now taken; kNoSlot when none is. One that is given back to a word behind
// the look is the business of who gives it back: that thread pumps then.
uint32_t ModelCore::claim_instance() noexcept {
  for (uint32_t word = 0; word * 64 < options_.instances; ++word) {
    std::atomic<uint64_t>& instances = free_instances_[word];
    uint64_t free = instances.load(std::memory_order_seq_cst);  // model: pump.look
    while (free != 0) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(free));
      // model: pump.claim
      if (instances.compare_exchange_weak(free, free & ~(uint64_t{1} << bit), std::memory_order_seq_cst)) {
        return word * 64 + bit;
      }
    }
  }
  return kNoSlot;
}

void ModelCore::pump_all() noexcept {
  for (;;) {
    const uint32_t index = claim_instance();
    if (index == kNoSlot) return;
    int64_t wake = kNever;
    uint64_t epoch = 0;
    const Formed formed = try_form(batches_[index].get(), &wake, &epoch);
    if (formed == Formed::kBatch) {
      if (elastic_ != nullptr) elastic_->used(index, monotonic_ns());
      enter();
      batches_[index]->run();  // model: pump.run
      continue;
    }
    // model: pump.return
    free_instances_[index / 64].fetch_or(uint64_t{1} << (index % 64), std::memory_order_seq_cst);
    if (formed == Formed::kWait && wake != kNever) request_tick(wake);  // model: pump.tick
    // Something came in after the leader had looked, and its submitter found the token or the instance taken.
    // model: pump.look.token, pump.look.inbox, pump.look.backlog
    if (!token_.held() && (!inbox_.empty() || epoch_.load(std::memory_order_seq_cst) != epoch) &&
        (!inbox_.empty() || backlog_.load(std::memory_order_seq_cst) > 0)) {
      continue;
    }
    return;
  }
}

int64_t ModelCore::tick(int64_t now_ns) noexcept {
  const int64_t due = due_ns_.load(std::memory_order_seq_cst);
  if (due > now_ns) return due;
  // An exchange, not a store: what was queued before an earlier time was asked for is visible below.
  due_ns_.exchange(kNever, std::memory_order_seq_cst);  // model: tick.due
  int64_t wake = kNever;
  uint64_t epoch = 0;
  // A leader at work looks at the clock itself, but perhaps read it too early: come again soon.
  // model: tick.try_form, tick.busy
  if (try_form(nullptr, &wake, &epoch) == Formed::kBusy) request_tick(now_ns + 200'000);
  if (model_->completion() == Completion::kAsync) {
    pump();  // model: tick.pump
    if (elastic_ != nullptr && elastic_->above_least()) shrink(now_ns);
  }
  return due_ns_.load(std::memory_order_seq_cst);
}

}  // namespace subten
