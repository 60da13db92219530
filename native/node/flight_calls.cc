#include "node/flight_calls.h"

#include <vector>

#include "executor/model_core.h"
#include "executor/process_state.h"
#include "metrics/clock.h"
#include "node/values.h"

namespace subten {
namespace {

class Numbers {
 public:
  template <typename T>
  void add(T value) {
    numbers_.push_back(static_cast<double>(value));
  }
  void add(const BatchEntry& batch) {
    add(batch.number);
    add(batch.dispatch_ns);
    add(batch.start_ns);
    add(batch.end_ns);
    add(batch.rows);
    add(batch.requests);
    add(batch.reason);
    add(batch.instance);
    add(batch.usual_ns);
    add(batch.measured_ns);
    add(batch.cpu_ns);
    add(batch.delay_ns);
    add(batch.major_faults);
    add(batch.preempted);
  }
  Napi::Float64Array to_js(Napi::Env env) const {
    Napi::Float64Array array = Napi::Float64Array::New(env, numbers_.size());
    std::copy(numbers_.begin(), numbers_.end(), array.Data());
    return array;
  }

 private:
  std::vector<double> numbers_;
};

}  // namespace

Napi::Value flight_to_js(Napi::Env env, ModelCore& core, uint64_t since) {
  std::vector<SlowRequest> slow;
  core.flight().slow.read(since, &slow);
  Numbers numbers;
  for (const SlowRequest& each : slow) {
    numbers.add(each.sequence);
    numbers.add(each.slot);
    numbers.add(each.generation);
    numbers.add(static_cast<uint32_t>(each.outcome));
    numbers.add(each.loop);
    numbers.add(each.rows);
    numbers.add(each.submit_ns);
    numbers.add(each.leader_ns);
    numbers.add(each.dispatch_ns);
    numbers.add(each.start_ns);
    numbers.add(each.end_ns);
    numbers.add(each.complete_ns);
    numbers.add(each.drained_ns);
    numbers.add(each.resolved_ns);
    numbers.add(each.behind_ns);
    numbers.add(each.behind);
    numbers.add(each.previous_count);
    numbers.add(each.mate_count);
    numbers.add(each.batch);
    for (const BatchEntry& batch : each.previous) numbers.add(batch);
    for (const SlowRequest::Mate& mate : each.mates) {
      numbers.add(mate.slot);
      numbers.add(mate.generation);
    }
  }
  return numbers.to_js(env);
}

Napi::Value host_watch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return {env, or_out_of_memory(env, [&]() -> napi_value {
            const HostWatch::Seen seen = process_state().host.seen();
            Numbers late, stalls, samples;
            for (const LateWake& each : seen.late) {
              late.add(each.due_ns);
              late.add(each.woke_ns);
              late.add(each.throttled_us);
              late.add(each.delay_ns);
            }
            for (const LoopStall& each : seen.stalls) {
              stalls.add(each.loop);
              stalls.add(each.turn ? 1 : 0);
              stalls.add(each.start_ns);
              stalls.add(each.end_ns);
              stalls.add(each.delay_ns);
            }
            for (const HostSample& each : seen.samples) {
              samples.add(each.at_ns);
              samples.add(each.throttled_us);
              samples.add(each.major_faults);
              samples.add(each.preempted);
            }
            Napi::Object object = Napi::Object::New(env);
            object.Set("now", static_cast<double>(monotonic_ns()));
            object.Set("late", late.to_js(env));
            object.Set("stalls", stalls.to_js(env));
            object.Set("samples", samples.to_js(env));
            return object;
          })};
}

}  // namespace subten
