// No batching: one request at a time, in order of arrival.
#include "schedule/sim/waiting_line.h"

namespace subten::sim {
namespace {

class None final : public ArrivalLine {
 public:
  explicit None(const World& world) : ArrivalLine(world, world.options->policy.expires) {}
  void form(uint32_t, int64_t, Formed* formed) override { take(1, formed); }
};

}  // namespace

std::unique_ptr<Policy> make_none(const World& world) { return std::make_unique<None>(world); }

}  // namespace subten::sim
