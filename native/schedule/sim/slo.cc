// The production policy, driven as the model core drives it.
#include <algorithm>

#include "memory/mapped_array.h"
#include "schedule/deadline_scheduler.h"
#include "schedule/sim/policy.h"

namespace subten::sim {
namespace {

class Slo final : public Policy {
 public:
  explicit Slo(const World& world) : world_(world), scheduler_(settings_, world.options->engine.instances) {
    const Options& options = *world.options;
    settings_.max_batch_size = options.max_batch;
    settings_.dynamic = options.max_batch > 1;
    settings_.slo.target_ns = options.target_ns;
    settings_.levels.resize(options.load.levels.size());
    waits_.assign(settings_.levels.size() + 1, 0);
  }
  bool initialise() {
    const auto levels = static_cast<uint32_t>(settings_.levels.size());
    return descriptors_.map(world_.slots) && queue_.initialise(descriptors_.data(), world_.slots, levels, true) &&
           scheduler_.initialise(1, world_.options->policy.latency_seed);
  }

  bool submit(uint32_t slot, int64_t now, bool force) override {
    const Request& request = world_.requests[slot];
    Descriptor& descriptor = descriptors_[slot];
    Admission::Verdict verdict;
    if (force) {
      verdict.bucket = Admission::kNone;  // others are not to be refused for it
    } else {
      verdict = scheduler_.admission().admit(request.level, request.rows, request.told_ns, 0, now);
      if (!verdict.admitted) return false;
    }
    descriptor.rows = request.rows;
    descriptor.level = request.level;
    descriptor.submit_ns = now;
    descriptor.deadline_ns = request.hard ? request.told_ns : kNever;
    descriptor.timeout_ns = kNever;
    descriptor.timeout_delays = 0;
    descriptor.due_ns = request.told_ns;
    descriptor.due_bucket = verdict.bucket;
    descriptor.shape_class = 0;
    queue_.add(slot);
    scheduler_.arrived(request.rows, now);
    return true;
  }

  void form(uint32_t instance, int64_t now, Formed* formed) override {
    const Plan plan = scheduler_.plan(
        queue_, descriptors_.data(), instance, now, [](uint32_t) { return true; },
        [](uint32_t, uint32_t) { return true; });
    for (uint32_t i = 0; i < plan.give_up; ++i) {
      const uint32_t slot = scheduler_.candidate(i);
      leave(slot);
      Descriptor& descriptor = descriptors_[slot];
      descriptor.due_bucket = Admission::kNone;
      if (descriptor.deadline_ns != kNever) {
        queue_.remove(slot);
        formed->dropped.push_back(slot);
      } else {
        queue_.move_behind(slot, descriptor.submit_ns + DeadlineScheduler::kKeptTargets * world_.options->target_ns);
      }
    }
    if (plan.requests == 0) {
      formed->wake_ns = plan.give_up > 0 ? now : plan.wake_ns;
      return;
    }
    const uint32_t to = plan.give_up + plan.requests;
    check(plan.give_up, to, now);
    scheduler_.formed(queue_, descriptors_.data(), plan.give_up, to);
    for (uint32_t i = plan.give_up; i < to; ++i) {
      const uint32_t slot = scheduler_.candidate(i);
      queue_.remove(slot);
      leave(slot);
      formed->batch.push_back(slot);
    }
    scheduler_.admission().runs(instance, now + scheduler_.latency().typical_ns(0, plan.rows));
  }

  void ended(uint32_t instance, uint32_t rows, int64_t took, int64_t) override {
    scheduler_.admission().rests(instance);
    scheduler_.learn(0, rows, took);
  }

  void expire(int64_t now, std::vector<uint32_t>* expired) override {
    for (uint32_t slot = queue_.pop_expired(now); slot != kNoSlot; slot = queue_.pop_expired(now)) {
      leave(slot);
      expired->push_back(slot);
    }
  }
  int64_t next_expiry_ns() const override { return queue_.next_expiry_ns(); }
  uint64_t counted_rows() override { return scheduler_.admission().waiting_rows(); }
  uint64_t knowingly_late() const override { return knowingly_late_; }
  uint64_t out_of_order() const override { return out_of_order_; }
  uint32_t most_passed_by() const override { return most_passed_by_; }

 private:
  void leave(uint32_t slot) {
    const Descriptor& descriptor = descriptors_[slot];
    scheduler_.admission().leave(descriptor.level, descriptor.rows, descriptor.due_bucket);
  }

  // What is promised of every batch. Before its requests leave the queue.
  void check(uint32_t from, uint32_t to, int64_t now) {
    const LatencyModel& latency = scheduler_.latency();
    const Descriptor& first = descriptors_[scheduler_.candidate(from)];
    for (uint32_t i = from; i < to; ++i) {
      const Descriptor& each = descriptors_[scheduler_.candidate(i)];
      if (each.deadline_ns < now + latency.typical_ns(0, each.rows)) ++knowingly_late_;
      const Descriptor& before = descriptors_[scheduler_.candidate(i > from ? i - 1 : i)];
      if (before.level == each.level && each.delayed == 0 && before.due_ns > each.due_ns) ++out_of_order_;
    }
    // The batch begins with the first of its level that is left.
    uint32_t head = queue_.first_of(first.level);
    if (head != scheduler_.candidate(from)) ++out_of_order_;
    if (waits_.size() <= 2) return;
    for (uint32_t level = 1; level < waits_.size(); ++level) {
      waits_[level] = queue_.first_of(level) == kNoSlot ? 0 : waits_[level] + 1;
    }
    for (uint32_t i = from; i < to; ++i) waits_[descriptors_[scheduler_.candidate(i)].level] = 0;
    for (const uint32_t waits : waits_) most_passed_by_ = std::max(most_passed_by_, waits);
  }

  World world_;
  BatchSettings settings_;
  MappedArray<Descriptor> descriptors_;
  RequestQueue queue_;
  DeadlineScheduler scheduler_;
  std::vector<uint32_t> waits_;
  uint64_t knowingly_late_ = 0, out_of_order_ = 0;
  uint32_t most_passed_by_ = 0;
};

}  // namespace

std::unique_ptr<Policy> make_slo(const World& world) {
  auto policy = std::make_unique<Slo>(world);
  if (!policy->initialise()) return nullptr;
  return policy;
}

}  // namespace subten::sim
