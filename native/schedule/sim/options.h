// What is simulated: a load, engines, and a policy.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace subten::sim {

enum class LoadKind : uint8_t { kConstant, kPoisson, kGamma, kTrace };
enum class PolicyKind : uint8_t { kSlo, kNone, kStatic, kAimd, kRegression, kClockwork, kSymphony };

struct Change {
  int64_t at_ns = 0;
  double factor = 1;
};

struct LoadOptions {
  LoadKind kind = LoadKind::kPoisson;
  double rate = 1000;           // requests a second
  double cv = 4;                // of the gaps, for kGamma
  std::vector<int64_t> trace;   // for kTrace: arrival times, ascending; without end it would be repeated
  std::vector<Change> changes;  // from then on the rate is this many times `rate`
  int64_t duration_ns = 10'000'000'000;
  int64_t warm_up_ns = 1'000'000'000;  // before it: requests that come then are not counted
  uint32_t rows_low = 1, rows_high = 1;
  std::vector<double> levels{1};         // how the requests share the priority levels
  double burnt_low = 0, burnt_high = 0;  // shares of the budget that are gone on arrival
  bool budget_told = true;               // false: the scheduler takes every budget for a whole one
  double hard = 1;                       // share of the requests that bring a deadline of their own
};

struct EngineOptions {
  uint32_t instances = 1;
  int64_t base_ns = 1'000'000;
  int64_t row_ns = 100'000;
  std::vector<std::pair<uint32_t, int64_t>> table;  // rows, nanoseconds; instead of the line; straight between
  std::vector<double> paces;                        // by instance: a batch takes this many times as long; 1 beyond
  double noise = 0;                                 // sigma of the logarithm
  std::vector<Change> drifts;                       // from then on every batch takes this many times as long
  std::vector<Change> stalls;                       // the first batch from then on does
};

struct PolicyOptions {
  PolicyKind kind = PolicyKind::kSlo;
  // of kStatic, with Triton's meaning
  int64_t delay_ns = 0;
  std::vector<uint32_t> preferred;
  bool expires = true;  // queued requests end at their deadline
  // of kSlo
  std::string latency_seed;
};

struct Options {
  LoadOptions load;
  EngineOptions engine;
  PolicyOptions policy;
  int64_t target_ns = 10'000'000;  // what a request may take from its start, upstream included
  uint32_t max_batch = 8;
  uint32_t max_queue = 4096;  // requests
  uint32_t probe = 0;         // one refused request in so many is admitted all the same, and followed; 0: none
  uint64_t seed = 1;
};

}  // namespace subten::sim
