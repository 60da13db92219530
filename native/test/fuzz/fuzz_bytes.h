// Reads decisions from the bytes of a fuzzer.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace subten {

class FuzzBytes {
 public:
  FuzzBytes(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  template <typename T>
  T take() {
    T value{};
    const auto left = static_cast<size_t>(end_ - at_);
    const size_t count = left < sizeof value ? left : sizeof value;
    std::memcpy(&value, at_, count);
    at_ += count;
    return value;
  }
  uint8_t byte() { return take<uint8_t>(); }
  uint32_t below(uint32_t limit) { return byte() % limit; }
  bool flag() { return (byte() & 1) != 0; }
  // Small numbers mostly, the ends of the scale sometimes, anything at times.
  uint32_t number(uint32_t usual) {
    const uint8_t kind = byte();
    if (kind < 200) return kind % (usual + 1);
    if (kind < 220) return UINT32_MAX - kind % 3;
    return take<uint32_t>();
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

[[noreturn]] inline void broken(const char* what) {
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}
inline void must(bool holds, const char* what) {
  if (!holds) broken(what);
}

}  // namespace subten
