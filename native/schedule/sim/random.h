// Random numbers that are the same on every platform for a seed: xoshiro256** (Blackman and Vigna, "Scrambled linear
// pseudorandom number generators", ACM TOMS 47(4), 2021), seeded by splitmix64.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace subten::sim {

class Random {
 public:
  // `stream`: arrivals, budgets and engines draw from streams of their own, so that every policy meets the same load.
  Random(uint64_t seed, uint64_t stream) noexcept {
    uint64_t x = seed * 0x9E3779B97F4A7C15u + stream;
    for (uint64_t& word : state_) word = mix(x += 0x9E3779B97F4A7C15u);
  }

  uint64_t next() noexcept {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // In [0, 1).
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // From `low` to `high`, both included.
  uint32_t whole(uint32_t low, uint32_t high) noexcept {
    return low + static_cast<uint32_t>(uniform() * (static_cast<double>(high) - low + 1));
  }
  double exponential() noexcept { return -std::log(1 - uniform()); }
  double normal() noexcept { return std::sqrt(2 * exponential()) * std::cos(2 * std::numbers::pi * uniform()); }

  // Scale 1: Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000.
  double gamma(double shape) noexcept {
    if (shape < 1) return gamma(shape + 1) * std::pow(1 - uniform(), 1 / shape);
    const double d = shape - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal();
      const double root = 1 + c * x;
      if (root <= 0) continue;
      const double v = root * root * root;
      if (-exponential() < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }

 private:
  static uint64_t mix(uint64_t x) noexcept {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }
  std::array<uint64_t, 4> state_{};
};

}  // namespace subten::sim
