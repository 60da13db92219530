// Replaces operator new for the whole binary. malloc, mmap and Slab::allocate are wrapped by the linker (--wrap, see
// CMakeLists.txt), which reaches the objects of subten_core and nothing else.

#include "failing_memory.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include "memory/slab.h"

// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the linker makes these names
extern "C" void* __real_malloc(size_t);

namespace {

std::atomic<bool> armed{false};
std::atomic<bool> for_good{false};
std::atomic<bool> one_failed{false};
std::atomic<int64_t> first{0};
std::atomic<int64_t> seen{0};
std::atomic<int64_t> slab_left{0};
std::atomic<int64_t> living{0};
std::atomic<uintptr_t> spared_start{0}, spared_end{0};

bool fails() noexcept {
  if (!armed.load()) return false;
  const int64_t number = seen.fetch_add(1) + 1;
  const bool fail = for_good.load() ? number >= first.load() : number == first.load();
  if (fail) one_failed.store(true);
  return fail;
}

// Before each block: where it begins for free(), and whether it is counted.
struct Head {
  void* begin;
  uint64_t counted;
};
static_assert(sizeof(Head) == alignof(std::max_align_t));

void* take(size_t bytes, size_t alignment, void* caller) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(caller);
  // Blocks of a spared library are not counted either: what it keeps for its next run is its own affair.
  const bool spared = address >= spared_start.load() && address < spared_end.load();
  if (!spared && fails()) return nullptr;
  const size_t before = std::max(sizeof(Head), alignment);
  const size_t whole = bytes + before;
  void* begin = alignment <= alignof(std::max_align_t)
                    ? __real_malloc(whole)
                    : std::aligned_alloc(alignment, (whole + alignment - 1) / alignment * alignment);
  if (begin == nullptr) return nullptr;
  if (!spared) living.fetch_add(1);
  void* memory = static_cast<std::byte*>(begin) + before;
  static_cast<Head*>(memory)[-1] = {begin, spared ? 0U : 1U};
  return memory;
}

void* take_or_throw(size_t bytes, size_t alignment, void* caller) {
  void* memory = take(bytes, alignment, caller);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void give(void* memory) noexcept {
  if (memory == nullptr) return;
  const Head head = static_cast<Head*>(memory)[-1];
  if (head.counted != 0) living.fetch_sub(1);
  std::free(head.begin);
}

}  // namespace

#define CALLER __builtin_return_address(0)
void* operator new(size_t bytes) { return take_or_throw(bytes, 0, CALLER); }
void* operator new[](size_t bytes) { return take_or_throw(bytes, 0, CALLER); }
void* operator new(size_t bytes, std::align_val_t a) { return take_or_throw(bytes, static_cast<size_t>(a), CALLER); }
void* operator new[](size_t bytes, std::align_val_t a) { return take_or_throw(bytes, static_cast<size_t>(a), CALLER); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return take(bytes, 0, CALLER); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return take(bytes, 0, CALLER); }
void* operator new(size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return take(bytes, static_cast<size_t>(a), CALLER);
}
void* operator new[](size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept {
  return take(bytes, static_cast<size_t>(a), CALLER);
}
void operator delete(void* memory) noexcept { give(memory); }
void operator delete[](void* memory) noexcept { give(memory); }
void operator delete(void* memory, size_t) noexcept { give(memory); }
void operator delete[](void* memory, size_t) noexcept { give(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { give(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { give(memory); }

extern "C" {
void* __wrap_malloc(size_t bytes) { return fails() ? nullptr : __real_malloc(bytes); }

void* __real_mmap(void*, size_t, int, int, int, off_t);
void* __wrap_mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (fails()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  living.fetch_add(1);
  return __real_mmap(at, bytes, protection, flags, file, offset);
}
int __real_munmap(void*, size_t);
int __wrap_munmap(void* at, size_t bytes) {
  living.fetch_sub(1);
  return __real_munmap(at, bytes);
}

uint64_t __real__ZN6subten4Slab8allocateEm(subten::Slab*, uint64_t);
uint64_t __wrap__ZN6subten4Slab8allocateEm(subten::Slab* slab, uint64_t bytes) {
  if (slab_left.load() > 0 && slab_left.fetch_sub(1) == 1) {
    one_failed.store(true);
    return subten::Slab::kNowhere;
  }
  return __real__ZN6subten4Slab8allocateEm(slab, bytes);
}
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)

namespace subten {

void FailingMemory::arm(int64_t nth, bool all_later) noexcept {
  one_failed.store(false);
  seen.store(0);
  first.store(nth);
  for_good.store(all_later);
  armed.store(true);
}

int64_t FailingMemory::disarm() noexcept {
  armed.store(false);
  slab_left.store(0);
  return seen.load();
}

bool FailingMemory::failed() noexcept { return one_failed.load(); }

void FailingMemory::arm_slab(int64_t nth) noexcept {
  one_failed.store(false);
  slab_left.store(nth);
}

int64_t FailingMemory::live() noexcept { return living.load(); }

void FailingMemory::spare_library(const char* name) noexcept {
  ::dl_iterate_phdr(
      [](dl_phdr_info* library, size_t, void* wanted) {
        if (std::strstr(library->dlpi_name, static_cast<const char*>(wanted)) == nullptr) return 0;
        for (int i = 0; i < library->dlpi_phnum; ++i) {
          const auto& segment = library->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const uintptr_t start = library->dlpi_addr + segment.p_vaddr;
          if (spared_start.load() == 0) spared_start.store(start);
          spared_end.store(start + segment.p_memsz);
        }
        return 1;
      },
      const_cast<char*>(name));
}

}  // namespace subten
