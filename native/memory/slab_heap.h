// Best-effort O(1) allocation of granule runs, with coalescing. Two-level segregated fit (Masmano, Ripoll, Crespo and
// Real, "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004). The bookkeeping lies outside the
// memory it describes, since JS can write there. Not thread safe: `Slab` holds a lock around it.
#pragma once

#include <array>
#include <cstdint>

#include "memory/mapped_array.h"

namespace subten {

class SlabHeap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Manages granules [0, granules). False when the system refuses memory.
  bool initialise(uint32_t granules) noexcept;

  // First granule of a run of exactly `size` granules, or kNone.
  uint32_t allocate(uint32_t size) noexcept;
  // Gives a run back that allocate() returned, with the same size.
  void free(uint32_t start, uint32_t size) noexcept;

  uint32_t free_granules() const noexcept { return free_granules_; }

 private:
  static constexpr uint32_t kSecondBits = 3;
  static constexpr uint32_t kSecond = 1u << kSecondBits;
  static constexpr uint32_t kFirst = 32;

  struct Bin {
    uint32_t first, second;
  };
  static Bin bin_of(uint32_t size) noexcept;
  static Bin bin_at_least(uint32_t size) noexcept;

  void insert(uint32_t start, uint32_t size) noexcept;
  void remove(uint32_t start) noexcept;

  // For a free run: its size at its first and at its last granule; 0 elsewhere at run borders.
  MappedArray<uint32_t> free_at_start_;
  MappedArray<uint32_t> free_at_end_;
  MappedArray<uint32_t> next_, previous_;
  std::array<std::array<uint32_t, kSecond>, kFirst> heads_{};
  uint32_t first_map_ = 0;
  std::array<uint32_t, kFirst> second_maps_{};
  uint32_t granules_ = 0;
  uint32_t free_granules_ = 0;
};

}  // namespace subten
