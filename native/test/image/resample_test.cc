#include "image/resample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace subten {
namespace {

constexpr Kernel kKernels[] = {Kernel::kLinear, Kernel::kCubic, Kernel::kMitchell, Kernel::kLanczos2,
                               Kernel::kLanczos3};

std::vector<uint8_t> resized(const std::vector<uint8_t>& from, uint32_t width, uint32_t height, uint32_t channels,
                             Kernel kernel, uint32_t columns, uint32_t rows) {
  std::vector<uint8_t> out(static_cast<size_t>(columns) * rows * channels);
  const Axis x{0, static_cast<double>(width) / columns, columns};
  const Axis y{0, static_cast<double>(height) / rows, rows};
  resample({from.data(), width, height, channels, static_cast<size_t>(width) * channels}, kernel, x, y, out.data());
  return out;
}

TEST(Resample, KeepsAPictureOfOneColour) {
  for (const Kernel kernel : kKernels) {
    for (const uint32_t channels : {1u, 3u}) {
      std::vector<uint8_t> picture(97 * 61 * channels);
      for (size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<uint8_t>(255 - 90 * (i % channels));
      const std::vector<uint8_t> out = resized(picture, 97, 61, channels, kernel, 32, 17);
      for (size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 255 - 90 * (i % channels)) << i;
    }
  }
}

TEST(Resample, CopiesAPictureThatHasItsSize) {
  std::vector<uint8_t> picture(23 * 7 * 3);
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<uint8_t>(i * 37);
  // Mitchell smooths even then.
  for (const Kernel kernel : {Kernel::kLinear, Kernel::kCubic, Kernel::kLanczos2, Kernel::kLanczos3}) {
    EXPECT_EQ(resized(picture, 23, 7, 3, kernel, 23, 7), picture);
  }
}

TEST(Resample, HalvesByTheTriangle) {
  // Pixel i covers pixels 2i-1 to 2i+2 of the source with weights 1, 3, 3, 1 of 8; the edge pixel goes on outside.
  const std::vector<uint8_t> picture = {0, 80, 160, 240, 200, 40};
  const std::vector<uint8_t> out = resized(picture, 6, 1, 1, Kernel::kLinear, 3, 1);
  EXPECT_EQ(out, (std::vector<uint8_t>{50, 185, 125}));
}

TEST(Resample, KeepsARampStraight) {
  // A symmetric kernel reproduces what is linear, away from the edges.
  std::vector<uint8_t> picture(250 * 4);
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<uint8_t>(i % 250);
  for (const Kernel kernel : kKernels) {
    const std::vector<uint8_t> out = resized(picture, 250, 4, 1, kernel, 100, 4);
    for (uint32_t x = 10; x < 90; ++x) EXPECT_NEAR(out[x], (x + 0.5) * 2.5 - 0.5, 0.75) << x;
  }
}

TEST(Resample, TakesAPartByItsOrigin) {
  std::vector<uint8_t> picture(40 * 20);
  for (size_t i = 0; i < picture.size(); ++i) picture[i] = static_cast<uint8_t>((i * i) >> 3);
  const std::vector<uint8_t> whole = resized(picture, 40, 20, 1, Kernel::kLanczos3, 20, 10);
  std::vector<uint8_t> part(6 * 4);
  resample({picture.data(), 40, 20, 1, 40}, Kernel::kLanczos3, {2 * 5.0, 2, 6}, {2 * 3.0, 2, 4}, part.data());
  for (uint32_t y = 0; y < 4; ++y) {
    for (uint32_t x = 0; x < 6; ++x) EXPECT_EQ(part[y * 6 + x], whole[(y + 3) * 20 + x + 5]);
  }
}

TEST(Resample, MakesOnePixelOfAll) {
  const std::vector<uint8_t> picture(1000 * 3, 200);
  for (const Kernel kernel : kKernels) {
    EXPECT_EQ(resized(picture, 1000, 3, 1, kernel, 1, 1), std::vector<uint8_t>{200});
    EXPECT_EQ(resized({7}, 1, 1, 1, kernel, 1, 1), std::vector<uint8_t>{7});
  }
}

}  // namespace
}  // namespace subten
