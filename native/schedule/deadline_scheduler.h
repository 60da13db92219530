// Everything that scheduling by due times knows of one model: what batches take, what is admitted, what goes next. The
// core and the simulator drive the same code; no clock is read here.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "queue/descriptor.h"
#include "schedule/admission.h"
#include "schedule/deadline_policy.h"
#include "schedule/latency_model.h"
#include "schedule/request_queue.h"
#include "schedule/settings.h"

namespace subten {

class DeadlineScheduler {
 public:
  // So many batches may pass a waiting priority level by, one more for each level above 17; the next begins with it.
  static constexpr uint32_t kPassedBy = 16;
  // A late request without a deadline of its own is kept for so many targets after it came.
  static constexpr int64_t kKeptTargets = 5;

  DeadlineScheduler(const BatchSettings& settings, uint32_t instances) noexcept
      : settings_(&settings), instances_(instances), policy_(settings.requests_capacity(), &latency_) {}
  // `seed`: what LatencyModel::save() gave, or empty. False without memory.
  bool initialise(uint32_t shape_classes, std::string_view seed) noexcept;

  LatencyModel& latency() noexcept { return latency_; }
  Admission& admission() noexcept { return admission_; }

  // --- leader ---
  // A request was put into the queue.
  void arrived(uint32_t rows, int64_t now_ns) noexcept;
  double arrival_rate(int64_t now_ns) const noexcept;
  // A batch of `rows` took so long, from its dispatch until the engine ended.
  void learn(uint32_t shape_class, uint32_t rows, int64_t latency_ns) noexcept {
    latency_.observe(shape_class, rows, latency_ns);
  }

  // What to do for `instance`. `alive(slot)`: false for requests that have ended; the caller has removed those.
  // `compatible(a, b)`: whether two requests can share a batch. Afterwards candidate(i) is the request that the plan
  // counts as its i-th.
  template <typename Alive, typename Compatible>
  Plan plan(RequestQueue& queue, const Descriptor* descriptors, uint32_t instance, int64_t now_ns, Alive alive,
            Compatible compatible) noexcept {
    begin();
    const uint32_t lead = lead_level(queue);
    if (lead != 0) offer_level(queue, descriptors, lead, alive, compatible);
    for (uint32_t level = 1; level <= queue.levels() && !ended_; ++level) {
      if (level != lead) offer_level(queue, descriptors, level, alive, compatible);
    }
    return decide(instance, now_ns, slots_.empty() ? 0 : descriptors[slots_[0]].shape_class);
  }
  uint32_t candidate(uint32_t index) const noexcept { return slots_[index]; }
  // A batch was formed of `slots_[from]` to before `slots_[to]`.
  void formed(RequestQueue& queue, const Descriptor* descriptors, uint32_t from, uint32_t to) noexcept;

 private:
  void begin() noexcept {
    slots_.clear();
    candidates_.clear();
    rows_ = 0;
    closed_ = ended_ = false;
  }
  template <typename Alive, typename Compatible>
  void offer_level(RequestQueue& queue, const Descriptor* descriptors, uint32_t level, Alive alive,
                   Compatible compatible) noexcept {
    for (uint32_t slot = queue.first_of(level); slot != kNoSlot && !ended_;) {
      const uint32_t next = queue.next_of(slot);
      if (alive(slot)) {
        const Descriptor& descriptor = descriptors[slot];
        if (!slots_.empty() && !compatible(slots_[0], slot)) {
          closed_ = ended_ = true;
        } else if (slots_.size() >= window_requests()) {
          ended_ = true;
        } else {
          slots_.push_back(slot);
          candidates_.push_back({descriptor.delayed != 0 ? Candidate::kNoDue : descriptor.due_ns, descriptor.rows});
          rows_ += descriptor.rows;
          if (rows_ >= window_rows()) ended_ = true;
        }
      }
      slot = next;
    }
  }
  // Two batches, the second for the policy's look ahead.
  uint32_t window_rows() const noexcept { return 2 * settings_->batch_capacity(); }
  uint32_t window_requests() const noexcept { return 2 * settings_->requests_capacity(); }
  uint32_t lead_level(const RequestQueue& queue) const noexcept;
  Plan decide(uint32_t instance, int64_t now_ns, uint32_t shape_class) noexcept;
  void adapt_margin(const Plan& plan, int64_t now_ns, uint32_t shape_class) noexcept;
  void measure_refusals(int64_t now_ns) noexcept;
  void measure_levels(int64_t now_ns, double best_rate) noexcept;

  const BatchSettings* settings_;
  uint32_t instances_;
  LatencyModel latency_;
  Admission admission_;
  DeadlinePolicy policy_;
  std::vector<uint32_t> slots_;
  std::vector<Candidate> candidates_;
  uint64_t rows_ = 0;
  bool closed_ = false;
  bool ended_ = false;
  std::vector<uint32_t> passed_by_;  // by level: batches since it was served, while it waited
  int64_t decided_ns_ = 0, last_start_ns_ = INT64_MIN;
  Plan last_;                 // what was planned last
  double margin_ns_ = 0;      // of admission
  double refused_share_ = 0;  // of what came lately
  uint64_t refused_ = 0, admitted_ = 0;
  int64_t refused_ns_ = 0;           // when that was measured
  double fill_ = 0;                  // rows of a batch that was full, on average
  std::vector<double> level_rates_;  // rows a nanosecond that are admitted, by level
  std::vector<uint64_t> level_rows_;
  int64_t levels_ns_ = 0;  // when those were measured
  double rate_ = 0;        // rows a nanosecond, as of rate_ns_
  double rate_window_ns_ = 1e8;
  int64_t rate_ns_ = 0;
};

}  // namespace subten
