// The geometry of a picture as any numbers: nothing outside the pixels is read or written. The decoder is one of ours
// that says of its picture what the input says; real ones are libjpeg-turbo's to be safe with.

#include <cstring>
#include <vector>

#include "fuzz_bytes.h"
#include "image/decode_jpeg.h"

namespace subten {
namespace {

struct Picture {
  int width;
  int height;
  int denom;
  uint8_t fill;
};
Picture picture;

TurboJpegApi api_of_picture() {
  TurboJpegApi api{};
  static char text[] = "no";
  api.init = [](int) -> void* { return &picture; };
  api.destroy = [](void*) {};
  api.error_text = [](void*) { return text; };
  api.set = [](void*, int, int) { return 0; };
  api.get = [](void*, int parameter) {
    if (parameter == TurboJpegApi::kWidth) return picture.width;
    if (parameter == TurboJpegApi::kHeight) return picture.height;
    if (parameter == TurboJpegApi::kPrecision) return 8;
    return parameter == TurboJpegApi::kColorspace ? static_cast<int>(TurboJpegApi::kYCbCr) : 0;
  };
  api.read_header = [](void*, const unsigned char*, size_t) { return 0; };
  api.set_scale = [](void*, TurboJpegScale scale) {
    picture.denom = scale.denom;
    return 0;
  };
  api.decompress = [](void*, const unsigned char*, size_t, unsigned char* out, int, int format) {
    const size_t columns = (picture.width + picture.denom - 1) / picture.denom;
    const size_t rows = (picture.height + picture.denom - 1) / picture.denom;
    std::memset(out, picture.fill, columns * rows * (format == TurboJpegApi::kGray ? 1 : 3));
    return 0;
  };
  return api;
}

double real(FuzzBytes* in) {
  switch (in->below(4)) {
    case 0:
      return in->byte();
    case 1:
      return in->byte() / 7.0 - 10;
    case 2:
      return 1 + in->byte() / 64.0;
    default:
      return in->take<double>();
  }
}

void run(FuzzBytes in) {
  const TurboJpegApi api = api_of_picture();
  while (!in.empty()) {
    JpegRequest request;
    request.width = 1 + in.take<uint16_t>() % 700;
    request.height = 1 + in.take<uint16_t>() % 700;
    request.channels = in.flag() ? 1 : 3;
    request.scale = 1u << in.below(4);
    request.kernel = static_cast<Kernel>(in.below(kKernelCount));
    request.x = {real(&in), real(&in), in.number(300) % 1000};
    request.y = {real(&in), real(&in), in.number(300) % 1000};
    request.orientation = 1 + in.below(8);
    picture = {static_cast<int>(request.width), static_cast<int>(request.height), 1, in.byte()};
    if (in.below(20) == 0) ++picture.width;
    std::vector<uint8_t> pixels;
    std::string why;
    if (!decode_jpeg(api, {}, request, &pixels, &why)) {
      must(!why.empty() && pixels.empty(), "a refusal without a reason, or with pixels");
      continue;
    }
    must(pixels.size() == static_cast<size_t>(request.x.length) * request.y.length * request.channels,
         "pixels of another size");
    for (const uint8_t pixel : pixels) must(pixel == picture.fill, "one colour became another");
  }
}

}  // namespace
}  // namespace subten

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  subten::run({data, size});
  return 0;
}
