// A JPEG to the pixels that a model takes: decoded at a fraction of its size where that is wanted, and resampled.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/resample.h"
#include "image/turbojpeg_api.h"

namespace subten {

struct JpegRequest {
  // As its header says; what turns out to be another size is refused.
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 3;  // of the pixels: 1 or 3
  // 1, 2, 4 or 8: the picture is decoded at this fraction, its sides rounded down, as libvips has them.
  uint32_t scale = 1;
  // In pixels of the decoded picture, as it lies in the file.
  Kernel kernel = Kernel::kLanczos3;
  Axis x;
  Axis y;
  uint32_t orientation = 1;  // as EXIF has it; the pixels come out upright
};

// y.length rows of x.length pixels in `*pixels`, or the other way round where orientation 5 to 8 turns them. False,
// with why in `*why`, where it is no undamaged baseline JPEG of 8 bits in grey or YCbCr with the size that was given:
// no partial picture is ever returned. Throws std::bad_alloc.
bool decode_jpeg(const TurboJpegApi& api, std::span<const uint8_t> bytes, const JpegRequest& request,
                 std::vector<uint8_t>* pixels, std::string* why);

}  // namespace subten
