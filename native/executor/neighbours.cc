// What was around a slow request: its batch, and what the instances did while it waited.

#include <algorithm>

#include "executor/model_core.h"

namespace subten {
namespace {

int64_t overlap(const BatchEntry& batch, int64_t from, int64_t to) noexcept {
  return std::max<int64_t>(0, std::min(batch.end_ns, to) - std::max(batch.dispatch_ns, from));
}

// Keeps the batches that overlap most, longest first.
void insert(const BatchEntry& batch, SlowRequest* request) noexcept {
  const auto length = [&](const BatchEntry& each) { return overlap(each, request->submit_ns, request->dispatch_ns); };
  uint32_t place = request->previous_count;
  while (place > 0 && length(request->previous[place - 1]) < length(batch)) --place;
  if (place == SlowRequest::kPrevious) return;
  request->previous_count = std::min(SlowRequest::kPrevious, request->previous_count + 1);
  for (uint32_t i = request->previous_count - 1; i > place; --i) request->previous[i] = request->previous[i - 1];
  request->previous[place] = batch;
}

}  // namespace

void ModelCore::add_neighbours(uint64_t batch, SlowRequest* request) const noexcept {
  BatchEntry entry;
  if (batch != 0) flight_.batches.read(batch, &request->batch);
  int64_t busy = 0;
  const auto count = [&](const BatchEntry& each) {
    const int64_t part = overlap(each, request->submit_ns, request->dispatch_ns);
    if (part == 0) return;
    busy += part;
    ++request->behind;
    insert(each, request);
  };
  // Backwards, until there were enough in a row that ended before it came: with several instances they end out of
  // order.
  uint32_t earlier = 0;
  uint64_t number = batch != 0 ? batch - 1 : flight_.batches.latest();
  for (uint32_t looked = 0; number > 0 && looked < BatchLog::kEntries && earlier <= options_.instances; ++looked) {
    if (flight_.batches.read(number--, &entry)) {
      count(entry);
      earlier = entry.end_ns <= request->submit_ns ? earlier + 1 : 0;
    }
  }
  // One that still runs, for a request that has expired meanwhile. Two loads: a mix of two batches does no harm.
  for (const auto& each : batches_) {
    const int64_t since = each->running_since();
    const uint64_t running = each->running_number();
    if (since == 0 || running == 0 || running == batch) continue;
    count({.number = running,
           .dispatch_ns = since,
           .start_ns = since,
           .end_ns = request->dispatch_ns,
           .instance = each->index()});
  }
  // Time in which all instances were busy, supposing that they are loaded alike.
  request->behind_ns = std::clamp<int64_t>(busy / std::max<uint32_t>(1, active_instances()), 0,
                                           std::max<int64_t>(0, request->dispatch_ns - request->submit_ns));
}

}  // namespace subten
