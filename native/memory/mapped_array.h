// A fixed array of zeroed, page-aligned memory that the system provides page by page as it is touched.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <type_traits>

namespace subten {

template <typename T>
class MappedArray {
  static_assert(std::is_trivially_destructible_v<T>, "elements are never destroyed");

 public:
  MappedArray() = default;
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray() { reset(); }

  // False when the system refuses. All bytes are zero, which must be a valid T.
  bool map(size_t count) noexcept {
    reset();
    if (count == 0) count = 1;
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, kElement, &bytes)) return false;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    data_ = static_cast<T*>(memory);
    count_ = count;
    return true;
  }

  void reset() noexcept {
    if (data_ != nullptr) ::munmap(data_, count_ * kElement);
    data_ = nullptr;
    count_ = 0;
  }

  T* data() const noexcept { return data_; }
  size_t size() const noexcept { return count_; }
  T& operator[](size_t index) const noexcept { return data_[index]; }

 private:
  static constexpr size_t kElement = sizeof(T);  // NOLINT(bugprone-sizeof-expression): T may be a pointer
  T* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace subten
