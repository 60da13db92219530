// Batches of zeros, run to learn how long batches take: while a model is loaded, and when everything is refused, so
// that nothing else tells that the model has become faster again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "memory/mapped_array.h"

namespace subten {

class SyntheticBatch {
 public:
  // False where no batch can be made up: inputs of strings, an engine that completes asynchronously, no memory.
  // `fill_to`: rows that each batch is filled up to (padding.h), 0 where none is.
  bool prepare(EngineModel& model, bool batches, uint32_t fill_to = 0) noexcept;

  // Nanoseconds that a batch of `rows`, filled up, took; -1 when it failed.
  int64_t run(EngineInstance& instance, uint32_t rows) noexcept;

 private:
  bool resize(uint32_t rows);

  const ModelSpec* spec_ = nullptr;
  bool batches_ = false;
  uint32_t fill_to_ = 0;
  std::vector<uint64_t> row_bytes_;
  std::vector<MappedArray<std::byte>> zeros_;
  std::vector<BatchTensor> inputs_;
  std::vector<RequestTensor> tensors_;
  std::vector<RequestView> views_;
  std::vector<char> present_;
};

// What batches of 1, 2, 4 … `most_rows` rows take, as LatencyModel::save() writes it: each size a few times, two
// seconds in all at most but for the first run of each size. `filled`: each is filled up to `most_rows` before it runs.
// Empty where it cannot be measured.
std::string measure_latencies(EngineModel& model, uint32_t most_rows, bool filled = false) noexcept;

}  // namespace subten
