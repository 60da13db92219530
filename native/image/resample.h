// Resampling of 8-bit pixels with an antialiasing kernel, rows first and columns after.
//
// A kernel is stretched by the factor of the reduction, so that each output pixel is the weighted mean of all that it
// covers (P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, ch. 3; as libvips's `reduce` and
// Pillow's `resize` do). Beyond the edge the outermost pixels go on, as in libvips.
#pragma once

#include <cstddef>
#include <cstdint>

namespace subten {

// Names as in sharp. kCubic is Catmull-Rom (B = 0, C = 1/2), kMitchell B = C = 1/3 (Mitchell and Netravali 1988).
enum class Kernel : uint8_t { kLinear, kCubic, kMitchell, kLanczos2, kLanczos3 };
inline constexpr uint32_t kKernelCount = 5;

struct PixelView {
  const uint8_t* data = nullptr;
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 0;  // 1 or 3, interleaved
  size_t pitch = 0;       // bytes from one row to the next
};

// One axis of the output: pixel i is centred at `origin + (i + 0.5) * shrink` of the source, whose first pixel reaches
// from 0 to 1. `shrink` is at least 1.
struct Axis {
  double origin = 0;
  double shrink = 1;
  uint32_t length = 0;
};

// Writes y.length rows of x.length pixels to `out`. Throws std::bad_alloc.
void resample(const PixelView& from, Kernel kernel, const Axis& x, const Axis& y, uint8_t* out);

}  // namespace subten
