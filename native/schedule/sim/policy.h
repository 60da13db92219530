// What a policy decides in a simulation.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "schedule/sim/arrivals.h"
#include "schedule/sim/engine.h"
#include "schedule/sim/options.h"

namespace subten::sim {

// Answer to "this instance is free".
struct Formed {
  std::vector<uint32_t> batch;    // slots that go now; none: wait
  std::vector<uint32_t> dropped;  // given up
  int64_t wake_ns = INT64_MAX;    // when to ask again, if nothing else happens
  void clear() noexcept {
    batch.clear();
    dropped.clear();
    wake_ns = INT64_MAX;
  }
};

class Policy {
 public:
  virtual ~Policy() = default;
  // A request came into `slot`. False: refused. `force`: it is to be followed although it was refused.
  virtual bool submit(uint32_t slot, int64_t now_ns, bool force) = 0;
  virtual void form(uint32_t instance, int64_t now_ns, Formed* formed) = 0;
  virtual void ended(uint32_t instance, uint32_t rows, int64_t took_ns, int64_t now_ns) {
    (void)instance, (void)rows, (void)took_ns, (void)now_ns;
  }
  // Takes those out whose time is over.
  virtual void expire(int64_t now_ns, std::vector<uint32_t>* expired) { (void)now_ns, (void)expired; }
  virtual int64_t next_expiry_ns() const { return INT64_MAX; }
  // Rows that admission still counts: 0 when nothing waits.
  virtual uint64_t counted_rows() { return 0; }
  // What the production policy promises never to do; see Figures.
  virtual uint64_t knowingly_late() const { return 0; }
  virtual uint64_t out_of_order() const { return 0; }
  virtual uint32_t most_passed_by() const { return 0; }
};

struct World {
  const Options* options;
  const Request* requests;  // by slot
  uint32_t slots;
  const Engine* engine;  // for what a policy may know beforehand: the profile
};

std::unique_ptr<Policy> make_policy(const World& world);

// One each, in a file of its name.
std::unique_ptr<Policy> make_slo(const World& world);
std::unique_ptr<Policy> make_static(const World& world);
std::unique_ptr<Policy> make_none(const World& world);
std::unique_ptr<Policy> make_aimd(const World& world);
std::unique_ptr<Policy> make_regression(const World& world);
std::unique_ptr<Policy> make_clockwork(const World& world);
std::unique_ptr<Policy> make_symphony(const World& world);

}  // namespace subten::sim
