#include "executor/machine_share.h"

#include <algorithm>

#include "executor/model_core.h"
#include "executor/process_state.h"
#include "metrics/clock.h"
#include "queue/parking.h"

namespace subten {
namespace {

constexpr double kLeastWeight = 0.001;
constexpr double kMostWeight = 1000;

}  // namespace

uint32_t ShareSchedule::join(double weight) {
  uint32_t member = 0;
  while (member < members_.size() && members_[member].weight != 0) ++member;
  if (member == members_.size()) members_.emplace_back();
  members_[member] = {};
  members_[member].weight = weight;
  return member;
}

void ShareSchedule::want(uint32_t member) noexcept {
  Member& wanting = members_[member];
  if (!wanting.active()) {
    // No credit for the time in which it wanted nothing.
    double least = floor_ns_;
    bool any = false;
    for (const Member& other : members_) {
      if (!other.active()) continue;
      least = any ? std::min(least, other.virtual_ns) : other.virtual_ns;
      any = true;
    }
    wanting.virtual_ns = std::max(wanting.virtual_ns, least);
  }
  if (wanting.waiting++ == 0) wanting.since = ++clock_;
}

// The member that waits with the least virtual time, or kNobody.
uint32_t ShareSchedule::first() const noexcept {
  uint32_t best = kNobody;
  for (uint32_t member = 0; member < members_.size(); ++member) {
    const Member& each = members_[member];
    if (each.waiting == 0) continue;
    if (best == kNobody || each.virtual_ns < members_[best].virtual_ns ||
        (each.virtual_ns == members_[best].virtual_ns && each.since < members_[best].since)) {
      best = member;
    }
  }
  return best;
}

uint32_t ShareSchedule::next(int64_t* charged_ns) noexcept {
  if (running_ == places_) return kNobody;
  const uint32_t member = first();
  if (member == kNobody) return kNobody;
  Member& chosen = members_[member];
  floor_ns_ = std::max(floor_ns_, chosen.virtual_ns);
  if (--chosen.waiting > 0) chosen.since = ++clock_;
  ++chosen.running;
  ++running_;
  *charged_ns = chosen.expected_ns;
  chosen.virtual_ns += static_cast<double>(chosen.expected_ns) / chosen.weight;
  return member;
}

void ShareSchedule::end(uint32_t member, int64_t charged_ns, int64_t took_ns) noexcept {
  Member& ended = members_[member];
  ended.virtual_ns += static_cast<double>(took_ns - charged_ns) / ended.weight;
  ended.expected_ns += (took_ns - ended.expected_ns) / 8;
  --ended.running;
  --running_;
}

uint32_t MachineShare::join(double weight) {
  std::lock_guard lock(mutex_);
  const uint32_t member = schedule_.join(weight);
  if (member >= queues_.size()) queues_.resize(member + 1);
  return member;
}

void MachineShare::leave(uint32_t member) noexcept {
  std::lock_guard lock(mutex_);
  schedule_.leave(member);
}

// Places that are free go to those whose turn it is.
void MachineShare::let_go(int64_t now_ns, const Turn* caller) noexcept {
  for (;;) {
    int64_t charged = 0;
    const uint32_t member = schedule_.next(&charged);
    if (member == ShareSchedule::kNobody) return;
    Queue& queue = queues_[member];
    Turn* turn = queue.first;
    queue.first = turn->next_;
    if (queue.first == nullptr) queue.last = nullptr;
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    turn->charged_ns_ = charged;
    turn->since_ns_ = now_ns;
    turn->word_.store(1, std::memory_order_release);  // pairs with ask() and wait()
    // It is still there: at its end it gives the place back, and for that it needs the mutex.
    if (turn != caller) futex_wake(&turn->word_);
  }
}

bool MachineShare::Turn::ask() noexcept {
  {
    std::lock_guard lock(share_->mutex_);
    const int64_t now = monotonic_ns();
    ShareSchedule& schedule = share_->schedule_;
    next_ = nullptr;
    word_.store(0, std::memory_order_relaxed);
    Queue& queue = share_->queues_[member_];
    (queue.last == nullptr ? queue.first : queue.last->next_) = this;
    queue.last = this;
    share_->waiting_.fetch_add(1, std::memory_order_relaxed);
    // In this order: it wants something all along, so what it is behind with is not taken for idleness.
    schedule.want(member_);
    if (has_place_) schedule.end(member_, charged_ns_, now - since_ns_);
    share_->let_go(now, this);
  }
  has_place_ = word_.load(std::memory_order_acquire) != 0;
  return has_place_;
}

void MachineShare::Turn::wait() noexcept {
  while (word_.load(std::memory_order_acquire) == 0) futex_wait(&word_, 0, INT64_MAX);
  has_place_ = true;
}

void MachineShare::Turn::give_back() noexcept {
  has_place_ = false;
  std::lock_guard lock(share_->mutex_);
  const int64_t now = monotonic_ns();
  share_->schedule_.end(member_, charged_ns_, now - since_ns_);
  share_->let_go(now, nullptr);
}

MachineShare& machine_share() {
  static MachineShare* share = new MachineShare(process_state().cpus.used);
  return *share;
}

Status ModelCore::join_share() {
  if (options_.weight == 0) return Status::ok();
  if (!(options_.weight >= kLeastWeight && options_.weight <= kMostWeight)) {
    return Status::error(Code::kConfigInvalid, "weight must be a number from 0.001 to 1000");
  }
  if (model_->completion() != Completion::kSync) {
    return Status::error(Code::kNotSupported,
                         "weight shares out the processors on which subten runs batches; this engine runs them by "
                         "itself: leave weight out for this model");
  }
  share_member_ = machine_share().join(options_.weight);
  share_ = &machine_share();
  return Status::ok();
}

// The thread of an instance, before it forms a batch.
void ModelCore::take_place(MachineShare::Turn* turn) noexcept {
  if (turn->ask()) return;
  // Whoever submitted relies on this instance to lead. It may wait for long, so it leads without forming a batch
  // before: that leaves the clock of what is queued to the timekeeper. A leader at work may have looked too early.
  int64_t wake = kNever;
  uint64_t epoch = 0;
  if (try_form(nullptr, &wake, &epoch) == Formed::kBusy) request_tick(monotonic_ns() + 200'000);
  turn->wait();
}

}  // namespace subten
