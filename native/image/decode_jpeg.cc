#include "image/decode_jpeg.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace subten {
namespace {

struct Decoder {
  explicit Decoder(const TurboJpegApi& with) : api(with), handle(with.init(TurboJpegApi::kDecompress)) {}
  ~Decoder() {
    if (handle != nullptr) api.destroy(handle);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const TurboJpegApi& api;
  void* handle;
};

// What the decoder writes, whose last pixel may stand for less than `scale` of the picture; and what is used of it.
uint32_t written(uint32_t length, uint32_t scale) { return (length + scale - 1) / scale; }
uint32_t used(uint32_t length, uint32_t scale) { return std::max(1u, length / scale); }

// Rounding may put the outermost pixels a little beyond the edge.
bool fits(const Axis& axis, uint32_t source) {
  return axis.length > 0 && axis.shrink >= 1 && axis.shrink <= source && axis.origin >= -axis.shrink &&
         axis.origin + axis.length * axis.shrink <= source + axis.shrink;
}

// Upright, as EXIF's orientation says (2.32, 4.6.4): which corner of the picture is first in the file, and whether its
// rows are columns.
std::vector<uint8_t> turned(const std::vector<uint8_t>& lying, const JpegRequest& request) {
  const uint32_t orientation = request.orientation;
  const bool columns = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const uint32_t width = columns ? request.y.length : request.x.length;
  const uint32_t height = columns ? request.x.length : request.y.length;
  std::vector<uint8_t> upright(lying.size());
  uint8_t* to = upright.data();
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x, to += request.channels) {
      const uint32_t column = columns ? y : x;
      const uint32_t row = columns ? x : y;
      const size_t at = static_cast<size_t>(from_below ? request.y.length - 1 - row : row) * request.x.length +
                        (from_right ? request.x.length - 1 - column : column);
      std::copy_n(lying.data() + at * request.channels, request.channels, to);
    }
  }
  return upright;
}

}  // namespace

bool decode_jpeg(const TurboJpegApi& api, std::span<const uint8_t> bytes, const JpegRequest& request,
                 std::vector<uint8_t>* pixels, std::string* why) {
  const auto refuse = [&](std::string text) {
    *why = std::move(text);
    return false;
  };
  const uint32_t width = used(request.width, request.scale);
  const uint32_t height = used(request.height, request.scale);
  if (!fits(request.x, width) || !fits(request.y, height)) return refuse("the output is not inside the picture");

  const Decoder decoder(api);
  void* handle = decoder.handle;
  if (handle == nullptr) return refuse("no decoder could be made");
  // Whatever is odd about a picture stops it here: libvips then has the last word on it.
  api.set(handle, TurboJpegApi::kStopOnWarning, 1);
  if (api.read_header(handle, bytes.data(), bytes.size()) != 0) return refuse(api.error_text(handle));
  const int colours = api.get(handle, TurboJpegApi::kColorspace);
  if (api.get(handle, TurboJpegApi::kWidth) != static_cast<int>(request.width) ||
      api.get(handle, TurboJpegApi::kHeight) != static_cast<int>(request.height) ||
      api.get(handle, TurboJpegApi::kPrecision) != 8 || api.get(handle, TurboJpegApi::kProgressive) != 0 ||
      (colours != TurboJpegApi::kYCbCr && colours != TurboJpegApi::kGrayscale)) {
    return refuse("its header is not what was found before");
  }
  if (api.set_scale(handle, {1, static_cast<int>(request.scale)}) != 0) return refuse(api.error_text(handle));

  // Not a vector: its bytes would be set to zero first.
  const size_t pitch = static_cast<size_t>(written(request.width, request.scale)) * request.channels;
  const auto decoded = std::make_unique_for_overwrite<uint8_t[]>(pitch * written(request.height, request.scale));
  const int format = request.channels == 1 ? TurboJpegApi::kGray : TurboJpegApi::kRgb;
  if (api.decompress(handle, bytes.data(), bytes.size(), decoded.get(), 0, format) != 0) {
    return refuse(api.error_text(handle));
  }
  std::vector<uint8_t> resampled(static_cast<size_t>(request.x.length) * request.y.length * request.channels);
  const PixelView view{decoded.get(), width, height, request.channels, pitch};
  resample(view, request.kernel, request.x, request.y, resampled.data());
  *pixels = request.orientation == 1 ? std::move(resampled) : turned(resampled, request);
  return true;
}

}  // namespace subten
