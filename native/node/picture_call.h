// decodeJpeg(bytes, numbers): pixels of a JPEG in the size that a model takes, made on the thread pool.
#pragma once

#include <napi.h>

#include <string>

namespace subten {

// Where libjpeg-turbo's library is; the first path that is given counts.
void set_jpeg_library(std::string path);

// decodeJpeg(bytes, [width, height, channels, scale, kernel, originX, shrinkX, columns, originY, shrinkY, rows,
// orientation]) as in JpegRequest: a promise of the pixels (an ArrayBuffer), or of why there are none (text); undefined
// where there is no library.
Napi::Value decode_jpeg_call(const Napi::CallbackInfo& info);

}  // namespace subten
