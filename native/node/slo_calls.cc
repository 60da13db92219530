#include "node/slo_calls.h"

#include <algorithm>
#include <vector>

#include "executor/model_core.h"
#include "metrics/clock.h"

namespace subten {

Napi::Value slo_figures(Napi::Env env, Port& port) {
  ModelCore& core = port.core();
  DeadlineScheduler* slo = core.slo();
  std::vector<double> numbers;
  if (slo == nullptr) {
    numbers.assign(9, 0);
  } else {
    const Admission& admission = slo->admission();
    const auto add = [&](auto value) { numbers.push_back(static_cast<double>(value)); };
    add(1);
    add(admission.admitted());
    add(admission.refused());
    add(core.given_up.load(std::memory_order_relaxed));
    add(core.ended_late.load(std::memory_order_relaxed));
    add(admission.arrival_rate() * 1e9);
    add(slo->latency().best_rate(0) * admission.active() * 1e9);
    add(port.loop_lateness_ns(monotonic_ns()));
    add(admission.active());
    core.each_latency([&](uint32_t shape_class, uint32_t rows, const LatencyEstimate& estimate) {
      add(rows);
      add(shape_class);
      add(estimate.typical_ns);
      add(estimate.high_ns);
      add(estimate.samples);
      add(static_cast<int>(estimate.basis));
    });
  }
  Napi::Float64Array array = Napi::Float64Array::New(env, numbers.size());
  std::copy(numbers.begin(), numbers.end(), array.Data());
  return array;
}

}  // namespace subten
