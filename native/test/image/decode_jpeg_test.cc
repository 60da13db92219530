// decode_jpeg() beside a decoder of ours, which says of a picture whatever a test wants.
#include "image/decode_jpeg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace subten {
namespace {

struct FakePicture {
  int width = 40;
  int height = 21;
  int precision = 8;
  int colorspace = TurboJpegApi::kYCbCr;
  int progressive = 0;
  bool bad_header = false;
  bool damaged = false;
  bool no_decoder = false;
  bool letters = false;  // pixels a, b, c and so on
  // What was asked of it.
  int open = 0;
  int denom = 0;
  int format = -1;
  bool stops_on_warning = false;
};
FakePicture fake;
char fake_text[] = "Premature end of JPEG file";

TurboJpegApi fake_api() {
  TurboJpegApi api{};
  api.init = [](int kind) -> void* {
    if (fake.no_decoder || kind != TurboJpegApi::kDecompress) return nullptr;
    ++fake.open;
    return &fake;
  };
  api.destroy = [](void*) { --fake.open; };
  api.error_text = [](void*) { return fake_text; };
  api.set = [](void*, int parameter, int value) {
    if (parameter == TurboJpegApi::kStopOnWarning) fake.stops_on_warning = value == 1;
    return 0;
  };
  api.get = [](void*, int parameter) {
    switch (parameter) {
      case TurboJpegApi::kWidth:
        return fake.width;
      case TurboJpegApi::kHeight:
        return fake.height;
      case TurboJpegApi::kPrecision:
        return fake.precision;
      case TurboJpegApi::kColorspace:
        return fake.colorspace;
      case TurboJpegApi::kProgressive:
        return fake.progressive;
      default:
        return -1;
    }
  };
  api.read_header = [](void*, const unsigned char*, size_t) { return fake.bad_header ? -1 : 0; };
  api.set_scale = [](void*, TurboJpegScale scale) {
    fake.denom = scale.denom;
    return scale.num == 1 ? 0 : -1;
  };
  api.decompress = [](void*, const unsigned char*, size_t, unsigned char* out, int pitch, int format) {
    fake.format = format;
    const int channels = format == TurboJpegApi::kGray ? 1 : 3;
    const int width = (fake.width + fake.denom - 1) / fake.denom;
    const int height = (fake.height + fake.denom - 1) / fake.denom;
    std::memset(out, 77, static_cast<size_t>(width) * height * channels);
    for (int i = 0; fake.letters && i < width * height; ++i) out[i] = static_cast<unsigned char>('a' + i);
    return pitch == 0 && !fake.damaged ? 0 : -1;
  };
  return api;
}

class DecodeJpeg : public testing::Test {
 protected:
  void SetUp() override { fake = FakePicture(); }
  void TearDown() override { EXPECT_EQ(fake.open, 0) << "a decoder was not given back"; }

  bool decode(const JpegRequest& request) {
    const TurboJpegApi api = fake_api();
    const std::vector<uint8_t> bytes = {0xff, 0xd8};
    pixels_.clear();
    why_.clear();
    return decode_jpeg(api, bytes, request, &pixels_, &why_);
  }

  JpegRequest usual_{.width = 40, .height = 21, .scale = 2, .x = {0, 2, 10}, .y = {0.5, 1, 10}};
  std::vector<uint8_t> pixels_;
  std::string why_;
};

TEST_F(DecodeJpeg, DecodesAtAFractionAndResamples) {
  ASSERT_TRUE(decode(usual_)) << why_;
  EXPECT_EQ(pixels_, std::vector<uint8_t>(10 * 10 * 3, 77));
  EXPECT_EQ(fake.denom, 2);
  EXPECT_EQ(fake.format, TurboJpegApi::kRgb);
  EXPECT_TRUE(fake.stops_on_warning);
}

TEST_F(DecodeJpeg, DecodesGreyToOneChannel) {
  fake.colorspace = TurboJpegApi::kGrayscale;
  usual_.channels = 1;
  ASSERT_TRUE(decode(usual_)) << why_;
  EXPECT_EQ(pixels_, std::vector<uint8_t>(10 * 10, 77));
  EXPECT_EQ(fake.format, TurboJpegApi::kGray);
}

TEST_F(DecodeJpeg, TurnsPixelsUpright) {
  // Orientation 1 to 8 of the same six pixels, rows apart by a bar.
  const char* const upright[] = {"abc|def",  "cba|fed",  "fed|cba",  "def|abc",
                                 "ad|be|cf", "da|eb|fc", "fc|eb|da", "cf|be|ad"};
  fake = FakePicture{.width = 3, .height = 2, .colorspace = TurboJpegApi::kGrayscale, .letters = true};
  for (uint32_t orientation = 1; orientation <= 8; ++orientation) {
    JpegRequest request{.width = 3, .height = 2, .channels = 1, .x = {0, 1, 3}, .y = {0, 1, 2}};
    request.orientation = orientation;
    ASSERT_TRUE(decode(request)) << why_;
    std::string seen;
    const size_t width = orientation >= 5 ? 2 : 3;
    for (size_t i = 0; i < pixels_.size(); ++i) {
      if (i > 0 && i % width == 0) seen += '|';
      seen += static_cast<char>(pixels_[i]);
    }
    EXPECT_EQ(seen, upright[orientation - 1]) << orientation;
  }
}

TEST_F(DecodeJpeg, RefusesADamagedPictureWithTheDecodersWords) {
  fake.damaged = true;
  EXPECT_FALSE(decode(usual_));
  EXPECT_EQ(why_, fake_text);
  EXPECT_TRUE(pixels_.empty());
  fake = FakePicture();
  fake.bad_header = true;
  EXPECT_FALSE(decode(usual_));
  EXPECT_EQ(why_, fake_text);
}

TEST_F(DecodeJpeg, RefusesWhatTheHeaderDidNotSay) {
  const auto refused = [&](auto change) {
    fake = FakePicture();
    change();
    const bool decoded = decode(usual_);
    return !decoded && why_ == "its header is not what was found before";
  };
  EXPECT_TRUE(refused([] { fake.width = 4000; }));
  EXPECT_TRUE(refused([] { fake.height = 2; }));
  EXPECT_TRUE(refused([] { fake.precision = 12; }));
  EXPECT_TRUE(refused([] { fake.progressive = 1; }));
  EXPECT_TRUE(refused([] { fake.colorspace = 3; }));  // CMYK
}

TEST_F(DecodeJpeg, RefusesAnOutputOutsideThePicture) {
  const auto refused = [&](const Axis& x) {
    JpegRequest request = usual_;
    request.x = x;
    const bool decoded = decode(request);
    return !decoded && why_ == "the output is not inside the picture";
  };
  EXPECT_TRUE(refused({0, 2, 12}));
  EXPECT_TRUE(refused({-3, 2, 10}));
  EXPECT_TRUE(refused({0, 0.5, 10}));
  EXPECT_TRUE(refused({0, 30, 1}));
  EXPECT_TRUE(refused({0, 1, 0}));
  EXPECT_TRUE(refused({std::nan(""), 1, 1}));
}

TEST_F(DecodeJpeg, SaysWhereThereIsNoDecoder) {
  fake.no_decoder = true;
  EXPECT_FALSE(decode(usual_));
  EXPECT_EQ(why_, "no decoder could be made");
}

TEST(LoadTurbojpeg, IsNothingWhereThereIsNoLibrary) {
  EXPECT_EQ(load_turbojpeg("/nowhere/libturbojpeg.so.0"), nullptr);
}

}  // namespace
}  // namespace subten
