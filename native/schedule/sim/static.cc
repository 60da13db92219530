// Triton's dynamic batcher with fixed settings: the production code for models without an slo.
#include "memory/mapped_array.h"
#include "schedule/batch_policy.h"
#include "schedule/request_queue.h"
#include "schedule/sim/policy.h"

namespace subten::sim {
namespace {

class Static final : public Policy {
 public:
  explicit Static(const World& world) : world_(world) {
    settings_.max_batch_size = world.options->max_batch;
    settings_.dynamic = world.options->max_batch > 1;
    settings_.max_queue_delay_ns = world.options->policy.delay_ns;
    settings_.preferred = world.options->policy.preferred;
    settings_.levels.resize(world.options->load.levels.size());
  }
  bool initialise() {
    return descriptors_.map(world_.slots) &&
           queue_.initialise(descriptors_.data(), world_.slots, static_cast<uint32_t>(settings_.levels.size()));
  }

  bool submit(uint32_t slot, int64_t now, bool) override {
    const Request& request = world_.requests[slot];
    Descriptor& descriptor = descriptors_[slot];
    descriptor.rows = request.rows;
    descriptor.level = request.level;
    descriptor.submit_ns = now;
    descriptor.deadline_ns = world_.options->policy.expires ? request.told_ns : kNever;
    descriptor.timeout_ns = kNever;
    descriptor.timeout_delays = 0;
    queue_.add(slot);
    return true;
  }

  void form(uint32_t, int64_t now, Formed* formed) override {
    BatchPolicy policy(settings_);
    for (uint32_t slot = queue_.first(); slot != kNoSlot && !policy.closed(); slot = queue_.next(slot)) {
      if (!policy.offer(descriptors_[slot].rows, true, descriptors_[slot].submit_ns)) break;
    }
    const BatchPolicy::Decision decision = policy.decide(now, queue_.next_expiry_ns());
    formed->wake_ns = decision.wake_ns;
    for (uint32_t i = 0; i < decision.requests; ++i) {
      const uint32_t slot = queue_.first();
      queue_.remove(slot);
      formed->batch.push_back(slot);
    }
  }

  void expire(int64_t now, std::vector<uint32_t>* expired) override {
    for (uint32_t slot = queue_.pop_expired(now); slot != kNoSlot; slot = queue_.pop_expired(now)) {
      expired->push_back(slot);
    }
  }
  int64_t next_expiry_ns() const override { return queue_.next_expiry_ns(); }

 private:
  World world_;
  BatchSettings settings_;
  MappedArray<Descriptor> descriptors_;
  RequestQueue queue_;
};

}  // namespace

std::unique_ptr<Policy> make_static(const World& world) {
  auto policy = std::make_unique<Static>(world);
  if (!policy->initialise()) return nullptr;
  return policy;
}

}  // namespace subten::sim
