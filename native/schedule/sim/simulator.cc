#include "schedule/sim/simulator.h"

#include <algorithm>
#include <new>

#include "schedule/sim/policy.h"

namespace subten::sim {
namespace {

class Simulation {
 public:
  Simulation(const Options& options, Figures* figures)
      : options_(options),
        figures_(*figures),
        engine_(options.engine, options.max_batch, options.seed),
        arrivals_(options, options.seed),
        probes_(options.seed, 4),
        slots_(options.max_queue + options.engine.instances * options.max_batch + 1),
        requests_(slots_),
        instances_(options.engine.instances) {
    for (uint32_t slot = slots_; slot-- > 0;) free_.push_back(slot);
    policy_ = make_policy({&options_, requests_.data(), slots_, &engine_});
  }

  bool run(uint64_t* left_rows) {
    if (policy_ == nullptr) return false;
    bool more = arrivals_.next(&coming_);
    for (;;) {
      int64_t now = more ? coming_.arrival_ns : INT64_MAX;
      now = std::min({now, first_end_, wake_ns_, waiting_ > 0 ? policy_->next_expiry_ns() : INT64_MAX});
      if (now == INT64_MAX) break;
      ++figures_.events;
      now_ = std::max(now, now_);
      end_batches();
      while (more && coming_.arrival_ns <= now_) {
        arrive();
        more = arrivals_.next(&coming_);
      }
      expire();
      form();
    }
    figures_.span_ns = options_.load.duration_ns;
    figures_.knowingly_late = policy_->knowingly_late();
    figures_.most_passed_by = policy_->most_passed_by();
    figures_.out_of_order = policy_->out_of_order();
    if (left_rows != nullptr) *left_rows = policy_->counted_rows() + waiting_;
    return true;
  }

 private:
  struct Instance {
    int64_t ends_ns = INT64_MAX;  // INT64_MAX: it is idle
    int64_t began_ns = 0;
    uint32_t rows = 0;
    std::vector<uint32_t> batch;
  };

  void end_batches() {
    if (first_end_ > now_) return;
    first_end_ = INT64_MAX;
    for (uint32_t i = 0; i < instances_.size(); ++i) {
      Instance& instance = instances_[i];
      if (instance.ends_ns <= now_) {
        figures_.busy_ns += instance.ends_ns - instance.began_ns;
        for (const uint32_t slot : instance.batch) answer(slot, instance.ends_ns);
        instance.batch.clear();
        const int64_t took = instance.ends_ns - instance.began_ns;
        instance.ends_ns = INT64_MAX;
        ++idle_;
        policy_->ended(i, instance.rows, took, now_);
      }
      first_end_ = std::min(first_end_, instance.ends_ns);
    }
  }

  void arrive() {
    count(&figures_.offered_series, coming_);
    if (coming_.counted) ++figures_.offered;
    if (waiting_ >= options_.max_queue) {
      if (coming_.counted) ++figures_.queue_full;
      return;
    }
    const uint32_t slot = free_.back();
    requests_[slot] = coming_;
    if (policy_->submit(slot, now_, false)) {
      if (coming_.counted) ++figures_.admitted;
    } else {
      if (coming_.counted) ++figures_.refused;
      if (options_.probe == 0 || probes_.next() % options_.probe != 0) return;
      requests_[slot].probe = true;
      if (coming_.counted) ++figures_.probed;
      (void)policy_->submit(slot, now_, true);
    }
    free_.pop_back();
    ++waiting_;
    asked_ = false;
  }

  // Nothing has changed for idle instances but the time since they were asked last.
  void form() {
    while (idle_ > 0 && waiting_ > 0 && !(asked_ && now_ < wake_ns_)) {
      uint32_t i = 0;
      while (instances_[i].ends_ns != INT64_MAX) ++i;
      formed_.clear();
      policy_->form(i, now_, &formed_);
      for (const uint32_t slot : formed_.dropped) drop(slot, &figures_.dropped);
      if (formed_.batch.empty()) {
        asked_ = true;
        wake_ns_ = std::max(formed_.wake_ns, now_ + 1);
        if (formed_.wake_ns == INT64_MAX) wake_ns_ = INT64_MAX;
        return;
      }
      dispatch(i);
      asked_ = false;
    }
    if (idle_ == 0 || waiting_ == 0) {
      wake_ns_ = INT64_MAX;
      asked_ = false;
    }
  }

  void dispatch(uint32_t index) {
    Instance& instance = instances_[index];
    instance.batch.assign(formed_.batch.begin(), formed_.batch.end());
    instance.rows = 0;
    for (const uint32_t slot : instance.batch) instance.rows += requests_[slot].rows;
    waiting_ -= static_cast<uint32_t>(instance.batch.size());
    instance.began_ns = now_;
    instance.ends_ns = now_ + engine_.run(index, instance.rows, now_);
    first_end_ = std::min(first_end_, instance.ends_ns);
    ++figures_.batches;
    figures_.rows += instance.rows;
    --idle_;
  }

  void expire() {
    if (waiting_ == 0 || policy_->next_expiry_ns() > now_) return;
    gone_.clear();
    policy_->expire(now_, &gone_);
    for (const uint32_t slot : gone_) drop(slot, &figures_.expired);
  }

  void drop(uint32_t slot, uint64_t* counter) {
    const Request& request = requests_[slot];
    if (request.counted && !request.probe) {
      ++*counter;
      figures_.admitted_all.add_never();
    }
    --waiting_;
    free_.push_back(slot);
  }

  void answer(uint32_t slot, int64_t end_ns) {
    const Request& request = requests_[slot];
    const bool good = end_ns <= request.due_ns;
    free_.push_back(slot);
    if (request.probe) {
      if (request.counted && good) ++figures_.probed_good;
      return;
    }
    if (good) count(&figures_.good_series, request);
    if (!request.counted) return;
    ++(good ? figures_.good : figures_.late);
    figures_.answered.add(end_ns - request.arrival_ns);
    figures_.admitted_all.add(end_ns - request.arrival_ns);
  }

  static void count(std::vector<uint32_t>* series, const Request& request) {
    const auto window = static_cast<size_t>(request.arrival_ns / Figures::kWindowNs);
    if (window >= series->size()) series->resize(window + 1);
    ++(*series)[window];
  }

  const Options& options_;
  Figures& figures_;
  Engine engine_;
  Arrivals arrivals_;
  Random probes_;
  uint32_t slots_;
  std::vector<Request> requests_;
  std::vector<uint32_t> free_, gone_;
  std::vector<Instance> instances_;
  std::unique_ptr<Policy> policy_;
  Formed formed_;
  Request coming_;
  int64_t now_ = 0, first_end_ = INT64_MAX, wake_ns_ = INT64_MAX;
  uint32_t idle_ = static_cast<uint32_t>(instances_.size());
  uint32_t waiting_ = 0;
  bool asked_ = false;
};

}  // namespace

bool simulate(const Options& options, Figures* figures, uint64_t* left_rows) {
  *figures = Figures{};
  try {
    return Simulation(options, figures).run(left_rows);
  } catch (const std::bad_alloc&) {
    return false;
  }
}

double saturation(const Options& options) {
  const Engine engine(options.engine, options.max_batch, options.seed);
  return engine.best_rate() * engine.speed();
}

std::unique_ptr<Policy> make_policy(const World& world) {
  switch (world.options->policy.kind) {
    case PolicyKind::kSlo:
      return make_slo(world);
    case PolicyKind::kNone:
      return make_none(world);
    case PolicyKind::kStatic:
      return make_static(world);
    case PolicyKind::kAimd:
      return make_aimd(world);
    case PolicyKind::kRegression:
      return make_regression(world);
    case PolicyKind::kClockwork:
      return make_clockwork(world);
    case PolicyKind::kSymphony:
      return make_symphony(world);
  }
  return nullptr;
}

}  // namespace subten::sim
