#include "image/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace subten {
namespace {

// Weights are fixed-point numbers of 14 bits: with 8-bit pixels no sum leaves 32 bits, and a constant stays what it is.
constexpr int kBits = 14;
constexpr int32_t kOne = 1 << kBits;
constexpr int32_t kHalf = 1 << (kBits - 1);
// Weights of a pixel are a whole number of vectors of so many; those that are too many are 0.
constexpr size_t kLanes = 8;
// Bytes of a row whose sums are kept on the stack at a time.
constexpr size_t kBlock = 512;

double sinc(double x) {
  if (x == 0) return 1;
  const double at = std::numbers::pi * x;
  return std::sin(at) / at;
}

double cubic(double x, double b, double c) {
  if (x < 1) return (((12 - 9 * b - 6 * c) * x + (-18 + 12 * b + 6 * c)) * x * x + (6 - 2 * b)) / 6;
  if (x < 2) return ((((-b - 6 * c) * x + (6 * b + 30 * c)) * x + (-12 * b - 48 * c)) * x + (8 * b + 24 * c)) / 6;
  return 0;
}

double radius_of(Kernel kernel) {
  switch (kernel) {
    case Kernel::kLinear:
      return 1;
    case Kernel::kLanczos3:
      return 3;
    default:
      return 2;
  }
}

double value_of(Kernel kernel, double x) {
  x = std::abs(x);
  if (x >= radius_of(kernel)) return 0;
  switch (kernel) {
    case Kernel::kLinear:
      return 1 - x;
    case Kernel::kCubic:
      return cubic(x, 0, 0.5);
    case Kernel::kMitchell:
      return cubic(x, 1.0 / 3, 1.0 / 3);
    case Kernel::kLanczos2:
      return sinc(x) * sinc(x / 2);
    case Kernel::kLanczos3:
      return sinc(x) * sinc(x / 3);
  }
  return 0;
}

// A kernel as a table, straight between its entries: sines took a sixth of the whole. The error is below 2e-6, of
// weights that are rounded to 6e-5.
class KernelTable {
 public:
  static const KernelTable& of(Kernel kernel) {
    static const std::array<KernelTable, kKernelCount> tables = {
        KernelTable(Kernel::kLinear), KernelTable(Kernel::kCubic), KernelTable(Kernel::kMitchell),
        KernelTable(Kernel::kLanczos2), KernelTable(Kernel::kLanczos3)};
    return tables[static_cast<size_t>(kernel)];
  }
  double radius() const { return radius_; }
  double at(double x) const {
    x = std::abs(x);
    if (x >= radius_) return 0;
    const double place = x * kSteps;
    const auto entry = static_cast<size_t>(place);
    return values_[entry] + (values_[entry + 1] - values_[entry]) * (place - static_cast<double>(entry));
  }

 private:
  static constexpr size_t kSteps = 1024;  // to a unit
  explicit KernelTable(Kernel kernel) : radius_(radius_of(kernel)) {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = value_of(kernel, static_cast<double>(i) / kSteps);
  }

  double radius_;
  std::array<double, 3 * kSteps + 1> values_{};
};

// What each output pixel of an axis takes of the source.
class Taps {
 public:
  Taps(const KernelTable& kernel, const Axis& axis, uint32_t source) {
    const double reach = kernel.radius() * axis.shrink;
    count_ = std::min<size_t>(source, 2 * static_cast<size_t>(std::ceil(reach)) + 1);
    stride_ = (count_ + kLanes - 1) / kLanes * kLanes;
    weights_.resize(stride_ * axis.length);
    first_.resize(axis.length);
    std::vector<double> exact(count_);
    for (uint32_t i = 0; i < axis.length; ++i) fill(kernel, axis, source, i, reach, &exact);
  }
  size_t count() const { return count_; }
  size_t stride() const { return stride_; }
  uint32_t first(uint32_t i) const { return first_[i]; }
  const int16_t* weights(uint32_t i) const { return weights_.data() + i * stride_; }

 private:
  void fill(const KernelTable& kernel, const Axis& axis, uint32_t source, uint32_t i, double reach,
            std::vector<double>* exact) {
    const double centre = axis.origin + (i + 0.5) * axis.shrink - 0.5;
    const auto last = static_cast<int64_t>(source) - 1;
    const auto from = static_cast<int64_t>(std::ceil(centre - reach));
    const auto to = static_cast<int64_t>(std::floor(centre + reach));
    // A window of `count_` pixels inside the source that holds all that is not beyond its edges.
    const int64_t start = std::clamp<int64_t>(from, 0, last + 1 - static_cast<int64_t>(count_));
    first_[i] = static_cast<uint32_t>(start);
    std::fill(exact->begin(), exact->end(), 0);
    double sum = 0;
    for (int64_t k = from; k <= to; ++k) {
      const double weight = kernel.at((static_cast<double>(k) - centre) / axis.shrink);
      const auto at = static_cast<size_t>(std::clamp<int64_t>(k, 0, last) - start);
      (*exact)[std::min(at, count_ - 1)] += weight;
      sum += weight;
    }
    int16_t* weights = weights_.data() + i * stride_;
    int32_t rest = kOne;
    size_t largest = 0;
    for (size_t k = 0; k < count_; ++k) {
      weights[k] = static_cast<int16_t>(std::lround((*exact)[k] / sum * kOne));
      rest -= weights[k];
      if (weights[k] > weights[largest]) largest = k;
    }
    // What rounding has lost goes where it shows least.
    weights[largest] = static_cast<int16_t>(weights[largest] + rest);
  }

  size_t count_;
  size_t stride_;
  std::vector<int16_t> weights_;
  std::vector<uint32_t> first_;
};

uint8_t to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

// `bytes` bytes of the weighted sum of `count` rows that lie `pitch` bytes apart.
void mix_rows(const uint8_t* rows, size_t pitch, const int16_t* weights, size_t count, size_t bytes, uint8_t* out) {
  for (size_t start = 0; start < bytes; start += kBlock) {
    const size_t length = std::min(kBlock, bytes - start);
    int32_t sums[kBlock];
    std::fill(sums, sums + length, kHalf);
    for (size_t k = 0; k < count; ++k) {
      const uint8_t* row = rows + k * pitch + start;
      const int16_t weight = weights[k];
      if (weight == 0) continue;
      for (size_t j = 0; j < length; ++j) sums[j] += static_cast<int16_t>(row[j]) * weight;
    }
    for (size_t j = 0; j < length; ++j) out[start + j] = to_byte(sums[j]);
  }
}

// The channels of a row apart, each with room for kLanes more that no weight counts.
void split(const uint8_t* row, uint32_t width, uint32_t channels, int16_t* planes) {
  for (uint32_t c = 0; c < channels; ++c) {
    int16_t* plane = planes + c * (width + kLanes);
    for (uint32_t x = 0; x < width; ++x) plane[x] = row[x * channels + c];
  }
}

void mix_columns(const int16_t* planes, uint32_t width, uint32_t channels, const Taps& taps, uint32_t length,
                 uint8_t* out) {
  for (uint32_t x = 0; x < length; ++x) {
    const int16_t* weights = taps.weights(x);
    for (uint32_t c = 0; c < channels; ++c) {
      const int16_t* pixels = planes + c * (width + kLanes) + taps.first(x);
      int32_t sum = kHalf;
      const size_t n = taps.stride();
      for (size_t k = 0; k < n; ++k) sum += pixels[k] * weights[k];
      out[x * channels + c] = to_byte(sum);
    }
  }
}

}  // namespace

void resample(const PixelView& from, Kernel kernel, const Axis& x, const Axis& y, uint8_t* out) {
  const KernelTable& table = KernelTable::of(kernel);
  const Taps down(table, y, from.height);
  const Taps across(table, x, from.width);
  std::vector<uint8_t> row(static_cast<size_t>(from.width) * from.channels);
  std::vector<int16_t> planes((static_cast<size_t>(from.width) + kLanes) * from.channels);
  for (uint32_t i = 0; i < y.length; ++i) {
    mix_rows(from.data + down.first(i) * from.pitch, from.pitch, down.weights(i), down.count(), row.size(), row.data());
    uint8_t* to = out + static_cast<size_t>(i) * x.length * from.channels;
    split(row.data(), from.width, from.channels, planes.data());
    mix_columns(planes.data(), from.width, from.channels, across, x.length, to);
  }
}

}  // namespace subten
