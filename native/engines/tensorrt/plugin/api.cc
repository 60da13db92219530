#include "engines/tensorrt/plugin/api.h"

#include <algorithm>
#include <cstddef>
#include <new>

namespace subten::trt {
namespace {

constexpr size_t kMostLines = 4000;

}  // namespace

Api& api() noexcept {
  alignas(Api) static std::byte storage[sizeof(Api)];
  static Api* const instance = new (storage) Api;
  return *instance;
}

void Log::log(Severity severity, const nvinfer1::AsciiChar* text) noexcept {
  if (severity > Severity::kWARNING || text == nullptr) return;
  try {
    const std::lock_guard lock(mutex_);
    if (lines_.size() >= kMostLines) {
      lines_.erase(lines_.begin(), lines_.begin() + kMostLines / 2);
      forgotten_ += kMostLines / 2;
    }
    lines_.push_back({severity != Severity::kWARNING, text});
  } catch (...) {
    // A line is lost: the call that it belongs to fails or succeeds without it.
  }
}

size_t Log::mark() noexcept {
  const std::lock_guard lock(mutex_);
  return forgotten_ + lines_.size();
}

std::vector<Log::Line> Log::since(size_t mark) {
  const std::lock_guard lock(mutex_);
  std::vector<Line> found;
  for (size_t i = mark > forgotten_ ? mark - forgotten_ : 0; i < lines_.size(); ++i) {
    const Line& line = lines_[i];
    const auto same = [&](const Line& each) { return each.text == line.text; };
    if (std::none_of(found.begin(), found.end(), same)) found.push_back(line);
  }
  return found;
}

std::string Log::errors_since(size_t mark, std::string_view otherwise) {
  std::string text;
  int count = 0;
  for (const Line& line : since(mark)) {
    if (!line.error || ++count > 4) continue;
    if (!text.empty()) text += "; ";
    text += line.text;
  }
  return text.empty() ? std::string(otherwise) : text;
}

std::string_view datatype_of(nvinfer1::DataType type) noexcept {
  using nvinfer1::DataType;
  switch (type) {
    case DataType::kFLOAT:
      return "FP32";
    case DataType::kHALF:
      return "FP16";
    case DataType::kBF16:
      return "BF16";
    case DataType::kINT8:
      return "INT8";
    case DataType::kUINT8:
      return "UINT8";
    case DataType::kINT32:
      return "INT32";
    case DataType::kINT64:
      return "INT64";
    case DataType::kBOOL:
      return "BOOL";
    default:
      return {};
  }
}

std::string_view precision_of(nvinfer1::DataType type) noexcept {
  using nvinfer1::DataType;
  if (const std::string_view known = datatype_of(type); !known.empty()) return known;
  switch (type) {
    case DataType::kFP8:
      return "FP8";
    case DataType::kINT4:
      return "INT4";
    case DataType::kFP4:
      return "FP4";
    case DataType::kE8M0:
      return "E8M0";
    default:
      return "other";
  }
}

}  // namespace subten::trt
