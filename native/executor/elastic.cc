#include "executor/elastic.h"

#include <algorithm>
#include <cstdio>

#include "executor/model_core.h"
#include "metrics/clock.h"
#include "queue/parking.h"

namespace subten {

Elastic::Elastic(uint32_t least, uint32_t most, int64_t idle_ns)
    : least_(least),
      idle_ns_(idle_ns),
      growth_pause_ns_(std::min(kGrowthPauseNs, idle_ns)),
      places_(most),
      words_(most),
      used_(most) {}

void Elastic::begin(uint32_t place) noexcept {
  words_[place].store(kActive, std::memory_order_relaxed);
  active_.fetch_add(1, std::memory_order_relaxed);
}

void Elastic::limit(uint32_t places) noexcept {
  places_.store(places, std::memory_order_relaxed);
  if (active() > places) active_.store(places, std::memory_order_relaxed);
}

bool Elastic::should_grow(bool all_run, int64_t now_ns, int64_t batch_ns) noexcept {
  if (!all_run) {
    if (behind_since_.load(std::memory_order_relaxed) != 0) behind_since_.store(0, std::memory_order_relaxed);
    return false;
  }
  const int64_t since = behind_since_.load(std::memory_order_relaxed);
  if (since == 0) {
    behind_since_.store(now_ns, std::memory_order_relaxed);
    return false;
  }
  if (now_ns - since <= batch_ns || active() >= places_.load(std::memory_order_relaxed)) return false;
  if (now_ns < next_growth_ns_.load(std::memory_order_relaxed)) return false;
  if (growing_.exchange(true, std::memory_order_acquire)) return false;
  // Another leader may have been here between the look at the clock and the exchange.
  if (now_ns >= next_growth_ns_.load(std::memory_order_relaxed)) return true;
  growing_.store(false, std::memory_order_release);
  return false;
}

// The lowest place that is not in use, now in `state`; kNoPlace when there is none.
uint32_t Elastic::take_place(uint32_t state) noexcept {
  const uint32_t places = places_.load(std::memory_order_relaxed);
  for (uint32_t place = 0; place < places; ++place) {
    uint32_t asleep = kAsleep;
    if (words_[place].compare_exchange_strong(asleep, state, std::memory_order_seq_cst)) return place;
  }
  growing_.store(false, std::memory_order_release);
  return kNoPlace;
}

void Elastic::ask() noexcept {
  const uint32_t place = take_place(kAsked);
  if (place != kNoPlace) futex_wake(&words_[place]);
}

uint32_t Elastic::offer(int64_t now_ns) noexcept {
  const uint32_t place = take_place(kActive);
  if (place == kNoPlace) return kNoPlace;
  used(place, now_ns);
  began(place, now_ns);
  return place;
}

void Elastic::began(uint32_t place, int64_t now_ns) noexcept {
  words_[place].store(kActive, std::memory_order_seq_cst);
  active_.fetch_add(1, std::memory_order_relaxed);
  behind_since_.store(0, std::memory_order_relaxed);
  next_growth_ns_.store(now_ns + growth_pause_ns_, std::memory_order_relaxed);
  growing_.store(false, std::memory_order_release);  // pairs with should_grow()
}

bool Elastic::failed(uint32_t place, int64_t now_ns) noexcept {
  words_[place].store(kAsleep, std::memory_order_seq_cst);
  next_growth_ns_.store(now_ns + kFailurePauseNs, std::memory_order_relaxed);
  growing_.store(false, std::memory_order_release);
  return !failed_.exchange(true, std::memory_order_relaxed);
}

bool Elastic::leave(uint32_t place) noexcept {
  uint32_t active = active_.load(std::memory_order_relaxed);
  do {
    if (active <= least_) return false;
  } while (!active_.compare_exchange_weak(active, active - 1, std::memory_order_relaxed));
  words_[place].store(kAsleep, std::memory_order_seq_cst);
  return true;
}

bool Elastic::sleep(uint32_t place, const std::atomic<bool>& stopping) noexcept {
  for (;;) {
    const uint32_t state = words_[place].load(std::memory_order_seq_cst);
    // seq_cst: `stopping` is stored before wake_all() changes the word, so one of the two is seen here.
    if (stopping.load(std::memory_order_seq_cst)) return false;
    if (state == kAsked) return true;
    futex_wait(&words_[place], state, INT64_MAX);
  }
}

void Elastic::wake_all() noexcept {
  for (auto& word : words_) {
    uint32_t asleep = kAsleep;
    word.compare_exchange_strong(asleep, kAsked, std::memory_order_seq_cst);
    futex_wake(&word);
  }
}

// --- the core's side ----------------------------------------------------------------------------------------------

// Which counts of instances the options mean. options_.instances is the most there can be from here on.
Status ModelCore::prepare_counts(uint32_t* begin) {
  *begin = options_.instances;
  if (options_.count_min == 0 && options_.count_max == 0) return Status::ok();
  const uint32_t least = std::max<uint32_t>(1, options_.count_min);
  const uint32_t most = options_.count_max != 0 ? options_.count_max : std::max(least, options_.instances);
  if (least > most) {
    return Status::error(Code::kConfigInvalid, "countMin, " + std::to_string(least) +
                                                   ", must be at most countMax, which is " + std::to_string(most));
  }
  *begin = std::clamp(options_.instances, least, most);
  options_.instances = most;
  if (least != most) elastic_ = std::make_unique<Elastic>(least, most, options_.idle_instance_ns);
  return Status::ok();
}

// Makes the engine instances that are there from the beginning, and a batch for every place.
Status ModelCore::create_instances(uint32_t begin) {
  const bool async = model_->completion() == Completion::kAsync;
  bool more = true;
  for (uint32_t index = 0; index < options_.instances; ++index) {
    std::unique_ptr<EngineInstance> instance;
    if (more && (index < begin || async)) {
      Status status = model_->create_instance(&instance);
      if (!status.is_ok()) {
        if (elastic_ == nullptr || index < elastic_->least()) return status;
        more = false;
        instance.reset();
        if (async) elastic_->limit(index);
        if (elastic_->failed(index, monotonic_ns())) tell_of_failure(status);
      } else if (elastic_ != nullptr && index < begin) {
        elastic_->begin(index);
      }
    }
    batches_.push_back(std::make_unique<Batch>(this, index, std::move(instance)));
  }
  order_waiting_.resize(options_.instances, nullptr);
  for (uint32_t index = 0; async && index < options_.instances; ++index) {
    if (elastic_ != nullptr && !elastic_->active_at(index)) continue;
    free_instances_[index / 64].fetch_or(uint64_t{1} << (index % 64), std::memory_order_relaxed);
  }
  return Status::ok();
}

void ModelCore::tell_of_failure(const Status& status) const noexcept {
  std::fprintf(stderr, "subten: %s: another instance could not be made, so there are fewer: %s\n",
               options_.label.c_str(), status.message.c_str());
}

// After a leader has formed a batch and put the token down.
void ModelCore::note_backlog(int64_t now_ns) noexcept {
  const bool async = model_->completion() == Completion::kAsync;
  bool all_run = backlog_.load(std::memory_order_seq_cst) > 0;
  if (all_run && async) {
    for (const auto& word : free_instances_) all_run = all_run && word.load(std::memory_order_relaxed) == 0;
  } else if (all_run) {
    // Where models wait for each other another thread would only wait as well.
    all_run = !parking_.any() && (share_ == nullptr || !share_->crowded());
  }
  if (!elastic_->should_grow(all_run, now_ns, compute_estimate_ns())) return;
  if (!async) return elastic_->ask();
  const uint32_t place = elastic_->offer(now_ns);
  if (place == Elastic::kNoPlace) return;
  // Whoever leads for an asynchronous engine looks for free instances again afterwards: see pump_all().
  free_instances_[place / 64].fetch_or(uint64_t{1} << (place % 64), std::memory_order_seq_cst);
  request_tick(now_ns + elastic_->idle_ns());
}

// Timekeeper, asynchronous engines: takes back the places that nobody used for long.
void ModelCore::shrink(int64_t now_ns) noexcept {
  for (uint32_t place = options_.instances; place-- > 0 && elastic_->above_least();) {
    if (!elastic_->active_at(place) || elastic_->used_ns(place) + elastic_->idle_ns() > now_ns) continue;
    const uint64_t bit = uint64_t{1} << (place % 64);
    // With its bit the place is ours. One that runs is used; and one that cannot leave is offered again.
    if ((free_instances_[place / 64].fetch_and(~bit, std::memory_order_seq_cst) & bit) == 0) {
      elastic_->used(place, now_ns);
    } else if (!elastic_->leave(place)) {
      free_instances_[place / 64].fetch_or(bit, std::memory_order_seq_cst);
    }
  }
  // A thread that found no instance meanwhile relies on whoever has one to look for its request.
  pump();
  if (elastic_->above_least()) request_tick(now_ns + elastic_->idle_ns());
}

// Synchronous engines, on the thread of the place: makes its engine instance when it is asked to. False: the core
// stops.
bool ModelCore::sleep_until_needed(uint32_t index) noexcept {
  swap_instance(index, nullptr);
  while (elastic_->sleep(index, stopping_)) {
    std::unique_ptr<EngineInstance> instance;
    Status status;
    try {
      status = model_->create_instance(&instance);
    } catch (...) {
      status = Status::quiet(Code::kOutOfMemory, "no memory for it");
    }
    if (status.is_ok()) {
      swap_instance(index, std::move(instance));
      elastic_->began(index, monotonic_ns());
      return true;
    }
    if (elastic_->failed(index, monotonic_ns())) tell_of_failure(status);
  }
  return false;
}

void ModelCore::swap_instance(uint32_t index, std::unique_ptr<EngineInstance> instance) noexcept {
  {
    std::lock_guard lock(elastic_->instances());
    batches_[index]->swap_instance(&instance);
  }
  instance.reset();  // after the lock, which a cancelling environment takes
}

}  // namespace subten
