#include "node/picture_call.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "image/decode_jpeg.h"
#include "node/values.h"

namespace subten {
namespace {

enum Field {
  kWidth,
  kHeight,
  kChannels,
  kScale,
  kKernel,
  kOriginX,
  kShrinkX,
  kColumns,
  kOriginY,
  kShrinkY,
  kRows,
  kOrientation,
  kFields
};

// JPEG counts its sides in 16 bits.
constexpr double kLongest = 65535;

std::mutex library_mutex;
std::string library_path;

const TurboJpegApi* turbojpeg() {
  std::string path;
  {
    const std::lock_guard lock(library_mutex);
    path = library_path;
  }
  return load_turbojpeg(path);
}

class JpegWorker final : public Napi::AsyncWorker {
 public:
  JpegWorker(Napi::Env env, const TurboJpegApi& api, std::vector<uint8_t> bytes, const JpegRequest& request)
      : Napi::AsyncWorker(env),
        api_(api),
        bytes_(std::move(bytes)),
        request_(request),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() { return deferred_.Promise(); }

  void Execute() override {
    try {
      decoded_ = decode_jpeg(api_, bytes_, request_, &pixels_, &why_);
    } catch (...) {
      why_ = "there was no memory left for its pixels";
    }
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!can_run_js(env)) return;  // the worker thread was terminated meanwhile
    if (!decoded_) {
      deferred_.Resolve(Napi::String::New(env, why_));
      return;
    }
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, pixels_.size());
    std::memcpy(buffer.Data(), pixels_.data(), pixels_.size());
    deferred_.Resolve(buffer);
  }

 private:
  const TurboJpegApi& api_;
  std::vector<uint8_t> bytes_;
  JpegRequest request_;
  std::vector<uint8_t> pixels_;
  std::string why_;
  bool decoded_ = false;
  Napi::Promise::Deferred deferred_;
};

bool is_whole(double value, double least, double most) {
  return value >= least && value <= most && value == std::floor(value);
}

// False where a number is none that JpegRequest has a place for.
bool read_request(const double* numbers, JpegRequest* request) {
  const double scale = numbers[kScale];
  if (!is_whole(numbers[kWidth], 1, kLongest) || !is_whole(numbers[kHeight], 1, kLongest)) return false;
  if (numbers[kChannels] != 1 && numbers[kChannels] != 3) return false;
  if (scale != 1 && scale != 2 && scale != 4 && scale != 8) return false;
  if (!is_whole(numbers[kKernel], 0, kKernelCount - 1)) return false;
  if (!is_whole(numbers[kColumns], 1, kLongest) || !is_whole(numbers[kRows], 1, kLongest)) return false;
  if (!is_whole(numbers[kOrientation], 1, 8)) return false;
  request->width = static_cast<uint32_t>(numbers[kWidth]);
  request->height = static_cast<uint32_t>(numbers[kHeight]);
  request->channels = static_cast<uint32_t>(numbers[kChannels]);
  request->scale = static_cast<uint32_t>(scale);
  request->kernel = static_cast<Kernel>(numbers[kKernel]);
  request->orientation = static_cast<uint32_t>(numbers[kOrientation]);
  request->x = {numbers[kOriginX], numbers[kShrinkX], static_cast<uint32_t>(numbers[kColumns])};
  request->y = {numbers[kOriginY], numbers[kShrinkY], static_cast<uint32_t>(numbers[kRows])};
  return true;
}

Napi::Value decode(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const TurboJpegApi* api = turbojpeg();
  if (api == nullptr || !info[0].IsTypedArray() || !info[1].IsTypedArray()) return env.Undefined();
  const auto given = info[0].As<Napi::TypedArray>();
  const auto numbers = info[1].As<Napi::TypedArray>();
  JpegRequest request;
  if (given.TypedArrayType() != napi_uint8_array || numbers.TypedArrayType() != napi_float64_array ||
      numbers.ElementLength() != kFields || !read_request(numbers.As<Napi::Float64Array>().Data(), &request)) {
    return env.Undefined();
  }
  const uint8_t* data = given.As<Napi::Uint8Array>().Data();
  // A copy: the caller may detach or change its memory while another thread reads.
  std::vector<uint8_t> bytes(data, data + given.ByteLength());
  auto worker = std::make_unique<JpegWorker>(env, *api, std::move(bytes), request);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  (void)worker.release();  // deletes itself when it has ended
  return promise;
}

}  // namespace

void set_jpeg_library(std::string path) {
  const std::lock_guard lock(library_mutex);
  if (library_path.empty()) library_path = std::move(path);
}

Napi::Value decode_jpeg_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return {env, or_out_of_memory(env, [&]() -> napi_value { return decode(info); })};
}

}  // namespace subten
