// Makes the n-th allocation of this process fail: operator new, malloc and mmap as our code calls them, and the slab.
#pragma once

#include <atomic>
#include <cstdint>

namespace subten {

struct FailingMemory {
  // The allocation with which failing starts, and whether all later ones fail as well. Any thread.
  static void arm(int64_t nth, bool for_good = false) noexcept;
  // How many allocations there were since; whether one failed.
  static int64_t disarm() noexcept;
  static bool failed() noexcept;
  // The same for extents of the slab alone.
  static void arm_slab(int64_t nth) noexcept;

  // Blocks of operator new and mappings that are alive.
  static int64_t live() noexcept;
  // Allocations of code in this library neither count nor fail.
  static void spare_library(const char* name) noexcept;
};

}  // namespace subten
