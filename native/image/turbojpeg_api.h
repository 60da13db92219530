// What we call of libjpeg-turbo: its TurboJPEG 3 API (turbojpeg.h of version 3.0, whose ABI later ones keep), found in
// the library at run time. The declarations are ours; names are TurboJPEG's.
#pragma once

#include <cstddef>
#include <string>

namespace subten {

struct TurboJpegScale {
  int num;
  int denom;
};

struct TurboJpegApi {
  enum Init { kDecompress = 1 };
  enum Parameter { kStopOnWarning = 0, kWidth = 5, kHeight = 6, kPrecision = 7, kColorspace = 8, kProgressive = 12 };
  enum Colorspace { kYCbCr = 1, kGrayscale = 2 };
  enum PixelFormat { kRgb = 0, kGray = 6 };

  void* (*init)(int);
  void (*destroy)(void*);
  char* (*error_text)(void*);
  int (*set)(void*, int, int);
  int (*get)(void*, int);
  int (*read_header)(void*, const unsigned char*, size_t);
  int (*set_scale)(void*, TurboJpegScale);
  int (*decompress)(void*, const unsigned char*, size_t, unsigned char*, int, int);
};

// Opens the library at `path` once in a process; what is given later is not looked at. Null: it is not there, or older
// than TurboJPEG 3. Thread safe.
const TurboJpegApi* load_turbojpeg(const std::string& path);

}  // namespace subten
