#include "node/port_stats.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "executor/model_core.h"
#include "metrics/clock.h"
#include "metrics/histogram.h"

namespace subten {
namespace {

Napi::Float64Array pairs_of(Napi::Env env, const std::vector<uint64_t>& counts, uint64_t sum, uint64_t max) {
  std::vector<double> pairs = {static_cast<double>(sum), static_cast<double>(max)};
  for (uint32_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    pairs.push_back(Histogram::value_at(i));
    pairs.push_back(static_cast<double>(counts[i]));
  }
  Napi::Float64Array array = Napi::Float64Array::New(env, pairs.size());
  std::memcpy(array.Data(), pairs.data(), pairs.size() * sizeof(double));
  return array;
}

// { names, stages } of what the engine has measured inside itself; the same layout as `stages`.
Napi::Object extra_stages(Napi::Env env, const EngineModel& model) {
  Napi::Array names = Napi::Array::New(env);
  Napi::Array stages = Napi::Array::New(env);
  model.each_stage([&](std::string_view name, const Histogram& histogram) {
    std::vector<uint64_t> counts(Histogram::kCounters, 0);
    uint64_t sum = 0, max = 0;
    histogram.add_to(counts.data(), &sum, &max);
    names.Set(names.Length(), std::string(name));
    stages.Set(stages.Length(), pairs_of(env, counts, sum, max));
  });
  Napi::Object extra = Napi::Object::New(env);
  extra.Set("names", names);
  extra.Set("stages", stages);
  return extra;
}

int64_t to_nanoseconds(double value) {
  if (!(value > 0)) return 0;
  return value >= 9e18 ? kNever : static_cast<int64_t>(value);
}

}  // namespace

Napi::Object port_stats(Napi::Env env, Port* port) {
  ModelCore& core = port->core();
  const ModelCore::Outcomes counts = core.outcomes();
  Napi::Array stages = Napi::Array::New(env, kStages);
  for (uint32_t stage = 0; stage < kStages; ++stage) {
    std::vector<uint64_t> merged(Histogram::kCounters, 0);
    uint64_t sum = 0, max = 0;
    core.stage(stage, merged.data(), &sum, &max);
    stages.Set(stage, pairs_of(env, merged, sum, max));
  }
  const auto numbers = [&](std::initializer_list<uint64_t> list) {
    Napi::Array array = Napi::Array::New(env, list.size());
    uint32_t i = 0;
    for (const uint64_t value : list) array.Set(i++, Napi::Number::New(env, static_cast<double>(value)));
    return array;
  };
  const BatchCounts& batches = core.batch_counts;
  Napi::Object result = Napi::Object::New(env);
  result.Set("counts", numbers({counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]}));
  result.Set("batches",
             numbers({batches.count, batches.rows, batches.in_place, batches.by_reason[0], batches.by_reason[1],
                      batches.by_reason[2], batches.by_reason[3], batches.by_reason[4]}));
  const ModelCore::Running running = core.running();
  const int64_t age = running.batches == 0 ? 0 : std::max<int64_t>(0, monotonic_ns() - running.since_ns);
  const RowTable& table = core.flight().rows;
  std::vector<double> sizes;
  for (uint32_t rows = 1; rows <= table.most_rows(); ++rows) {
    const uint64_t count = table.count(rows);
    if (count == 0) continue;
    sizes.push_back(rows);
    sizes.push_back(static_cast<double>(count));
  }
  Napi::Float64Array size_pairs = Napi::Float64Array::New(env, sizes.size());
  std::copy(sizes.begin(), sizes.end(), size_pairs.Data());
  result.Set("sizes", size_pairs);
  result.Set("running", numbers({running.batches, static_cast<uint64_t>(age)}));
  result.Set("stages", stages);
  result.Set("extra", extra_stages(env, core.engine_model()));
  result.Set("memory", numbers({core.slab().size(), core.slab().used()}));
  return result;
}

Napi::Float64Array port_totals(Napi::Env env, Port* port, const Napi::Value& given) {
  std::vector<int64_t> thresholds;
  if (given.IsTypedArray() && given.As<Napi::TypedArray>().TypedArrayType() == napi_float64_array) {
    const auto numbers = given.As<Napi::Float64Array>();
    for (size_t i = 0; i < numbers.ElementLength(); ++i) thresholds.push_back(to_nanoseconds(numbers[i]));
  }
  std::vector<uint64_t> within;
  uint64_t measured = 0;
  const ModelCore::Outcomes outcomes = port->core().totals(thresholds, &within, &measured);
  Napi::Float64Array array = Napi::Float64Array::New(env, outcomes.size() + 1 + within.size());
  size_t at = 0;
  for (const uint64_t count : outcomes) array[at++] = static_cast<double>(count);
  array[at++] = static_cast<double>(measured);
  for (const uint64_t count : within) array[at++] = static_cast<double>(count);
  return array;
}

}  // namespace subten
