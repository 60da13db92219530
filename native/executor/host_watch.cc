#include "executor/host_watch.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "executor/thread_setup.h"
#include "flight/flight_recorder.h"
#include "metrics/clock.h"
#include "queue/parking.h"

namespace subten {
namespace {

constexpr int64_t kMs = 1'000'000;
// A look costs 20 to 30 µs on a virtual machine, nearly all of it the waking up.
constexpr int64_t kBusyPeriodNs = 5 * kMs;
constexpr int64_t kIdlePeriodNs = 20 * kMs;
constexpr int64_t kStaysBusyNs = 1'000 * kMs;
constexpr int64_t kSamplePeriodNs = 100 * kMs;
constexpr int64_t kFindPeriodNs = 10'000 * kMs;  // the process may be put into another cgroup
constexpr int64_t kLateNs = kMs / 2;
constexpr int64_t kStallNs = kMs;
constexpr int64_t kTurnNs = kMs / 4;  // a loop is not still while its turns are shorter on average

}  // namespace

void HostWatch::add(const FlightRecorder* recorder) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    recorders_.push_back(recorder);
    if (!started_) {
      std::thread([this] { run(); }).detach();
      started_ = true;
    }
  } catch (...) {  // no memory or no thread: explanations know less
  }
  word_.fetch_add(1, std::memory_order_relaxed);
  futex_wake(&word_);
}

void HostWatch::remove(const FlightRecorder* recorder) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase(recorders_, recorder);
}

uint32_t HostWatch::watch_loop(void* loop, IdleTime idle, const std::atomic<uint64_t>* turns, int thread_id) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    for (Loop& each : loops_) {
      if (each.loop != loop) continue;
      each.turns.push_back(turns);
      return each.number;
    }
    Loop& each = loops_.emplace_back();
    each.loop = loop;
    each.idle = idle;
    each.turns.reserve(1);
    each.turns.push_back(turns);
    each.number = ++last_number_;
    each.schedstat = open_run_delay(thread_id);
    begin(&each, monotonic_ns());
    return each.number;
  } catch (...) {
    if (!loops_.empty() && loops_.back().turns.empty()) loops_.pop_back();
    return 0;
  }
}

void HostWatch::leave_loop(void* loop, const std::atomic<uint64_t>* turns) noexcept {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < loops_.size(); ++i) {
    Loop& each = loops_[i];
    if (each.loop != loop) continue;
    std::erase(each.turns, turns);
    if (each.turns.empty()) {
      if (each.schedstat >= 0) ::close(each.schedstat);
      loops_.erase(loops_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      begin(&each, monotonic_ns());  // another count of the same turns
    }
    return;
  }
}

void HostWatch::begin(Loop* loop, int64_t now_ns) const noexcept {
  loop->looked_ns = now_ns;
  loop->idle_ns = static_cast<int64_t>(loop->idle(loop->loop));
  loop->turned = loop->turns.front()->load(std::memory_order_relaxed);
  loop->delay_ns = read_run_delay(loop->schedstat);
}

HostWatch::Seen HostWatch::seen() const {
  Seen seen;
  seen.late.reserve(1024);
  seen.stalls.reserve(1024);
  seen.samples.reserve(1024);
  const std::lock_guard lock(mutex_);
  late_.read(&seen.late);
  stalls_.read(&seen.stalls);
  samples_.read(&seen.samples);
  for (const Loop& loop : loops_) {
    if (loop.stall.end_ns != 0) seen.stalls.push_back(loop.stall);
  }
  return seen;
}

// What the loop has done since the last look: slept, turned, waited for a processor. While it sleeps it has nothing to
// do, so a time in which it neither slept nor turned is one turn. Sleeping comes first in a turn, so the busy part is
// the end of the time, unless a stall was on already.
void HostWatch::look_at(Loop* loop, int64_t now_ns) noexcept {
  const int64_t looked = loop->looked_ns;
  const int64_t idle = loop->idle_ns;
  const uint64_t turned = loop->turned;
  const int64_t delayed = loop->delay_ns;
  begin(loop, now_ns);
  const int64_t slept = std::max<int64_t>(0, loop->idle_ns - idle);
  const int64_t busy = std::clamp<int64_t>(now_ns - looked - slept, 0, now_ns - looked);
  const auto turns = static_cast<int64_t>(loop->turned - turned);
  const int64_t delay = loop->delay_ns < 0 ? 0 : loop->delay_ns - delayed;
  LoopStall& stall = loop->stall;
  const bool on = stall.end_ns != 0;
  const bool still = busy >= kStallNs && (turns <= 1 || busy / turns >= kTurnNs);
  if (still && on && turns <= 1) {
    stall.end_ns = slept > 0 ? looked + busy : now_ns;
    stall.delay_ns += delay;
    if (slept == 0) return;
  } else if (still) {
    if (on) stalls_.push(stall);
    stall = {loop->number, true, now_ns - busy, now_ns, delay};
    if (turns <= 1) return;  // it may go on
  } else if (on) {
    if (turns <= 1) stall.end_ns = looked + busy;
    stall.delay_ns += delay;
  } else {
    if (delay >= kLateNs) stalls_.push({loop->number, false, now_ns - delay, now_ns, delay});
    return;
  }
  stalls_.push(stall);
  stall = {};
}

// False while there is nothing to watch.
bool HostWatch::look(int64_t due_ns) noexcept {
  const int64_t now = monotonic_ns();
  const std::lock_guard lock(mutex_);
  if (recorders_.empty() || stopped_.load(std::memory_order_relaxed)) return false;
  uint64_t batches = 0;
  for (const FlightRecorder* recorder : recorders_) batches += recorder->batches.latest();
  if (batches != batches_) active_ns_ = now;
  batches_ = batches;
  if (now - found_ns_ >= kFindPeriodNs) {
    try {
      throttle_.find();
    } catch (...) {  // no memory: nothing is known of quotas
    }
    throttled_us_ = throttle_.throttled_us();
    found_ns_ = now;
  }
  const bool late = due_ns != 0 && now - due_ns >= kLateNs;
  if (late || now - sampled_ns_ >= kSamplePeriodNs) {
    const ThreadUse use = meter_.read(now);
    const int64_t throttled = throttle_.throttled_us();
    if (late) late_.push({due_ns, now, throttled - throttled_us_, use.delay_ns});
    throttled_us_ = throttled;
    if (now - sampled_ns_ >= kSamplePeriodNs) {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      samples_.push({now, throttled, usage.ru_majflt, usage.ru_nivcsw});
      sampled_ns_ = now;
    }
  }
  for (Loop& loop : loops_) look_at(&loop, now);
  return true;
}

void HostWatch::run() noexcept {
  set_up_thread("subten-watch", false);
  int64_t due = 0;
  for (;;) {
    const uint32_t word = word_.load(std::memory_order_relaxed);
    if (!look(due)) {
      due = 0;
      futex_wait(&word_, word, INT64_MAX);
      continue;
    }
    const int64_t now = monotonic_ns();
    due = now + (now - active_ns_ < kStaysBusyNs ? kBusyPeriodNs : kIdlePeriodNs);
    futex_wait(&word_, word, due);
    if (monotonic_ns() < due) due = 0;  // woken for a new model
  }
}

}  // namespace subten
