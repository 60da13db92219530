// The last batches of a model, for whoever explains a slow request: what an instance did, and when.
//
// Many instances write, each an entry that the batch's number gives it; any thread reads. An entry is a sequence lock
// whose words are atomics (H.-J. Boehm, "Can seqlocks get along with programming language memory models?", 2012): the
// version is 0 while it is written, and the number of the batch otherwise. Nobody waits: a writer that finds another
// one at its entry, a whole ring away, leaves it alone.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <tuple>

#include "memory/mapped_array.h"

namespace subten {

// One batch that has ended. Times are monotonic nanoseconds.
struct BatchEntry {
  uint64_t number = 0;  // from 1, in the order in which the batches of the model were formed; 0: none
  int64_t dispatch_ns = 0;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  uint32_t rows = 0;
  uint32_t requests = 0;
  uint32_t reason = 0;  // BatchReason
  uint32_t instance = 0;
  int64_t usual_ns = 0;  // what start to end takes for so many rows, before this batch; 0: not known
  // What the thread of the instance has used from `measured_ns` to the end; 0: not measured.
  int64_t measured_ns = 0;
  int64_t cpu_ns = 0;
  int64_t delay_ns = 0;  // it was able to run and had no processor
  uint32_t major_faults = 0;
  uint32_t preempted = 0;
};
static_assert(sizeof(BatchEntry) == 88);

class BatchLog {
 public:
  static constexpr uint32_t kEntries = 1024;

  bool initialise() noexcept { return entries_.map(kEntries); }

  // Any thread. `number` is not 0.
  void write(const BatchEntry& batch) noexcept {
    Entry& entry = entries_[batch.number % kEntries];
    uint64_t version = entry.version.load(std::memory_order_relaxed);
    // Another writer is at it, or has written a later batch.
    if (version == kBusy || version > batch.number) return;
    // acquire: the words below stay behind it.
    if (!entry.version.compare_exchange_strong(version, kBusy, std::memory_order_acquire, std::memory_order_relaxed)) {
      return;
    }
    const auto words = std::bit_cast<Words>(batch);
    // release, each: a reader that sees one of them sees the version above as well, and drops what it has.
    for (size_t i = 0; i < words.size(); ++i) entry.words[i].store(words[i], std::memory_order_release);
    entry.version.store(batch.number, std::memory_order_release);  // pairs with read()
    // Not exchanged: where two write at once it may be the lower number until the next batch.
    if (latest_.load(std::memory_order_relaxed) < batch.number) latest_.store(batch.number, std::memory_order_relaxed);
  }

  // False when the batch is not there (any more).
  bool read(uint64_t number, BatchEntry* out) const noexcept {
    if (number == 0) return false;
    const Entry& entry = entries_[number % kEntries];
    if (entry.version.load(std::memory_order_acquire) != number) return false;
    Words words;
    // acquire, each: pairs with the release stores of write().
    for (size_t i = 0; i < words.size(); ++i) words[i] = entry.words[i].load(std::memory_order_acquire);
    if (entry.version.load(std::memory_order_relaxed) != number) return false;
    *out = std::bit_cast<BatchEntry>(words);
    return true;
  }

  // About the highest number that was written; 0: none.
  uint64_t latest() const noexcept { return latest_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kBusy = UINT64_MAX;
  using Words = std::array<uint64_t, sizeof(BatchEntry) / sizeof(uint64_t)>;
  struct Entry {
    std::atomic<uint64_t> version;
    std::array<std::atomic<uint64_t>, std::tuple_size_v<Words>> words;
  };
  MappedArray<Entry> entries_;
  std::atomic<uint64_t> latest_{0};
};

}  // namespace subten
