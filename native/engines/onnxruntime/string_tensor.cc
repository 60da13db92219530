#include "engines/onnxruntime/string_tensor.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>

#include "engines/onnxruntime/ort_error.h"

namespace subten {

static_assert(std::endian::native == std::endian::little, "lengths on the wire are little-endian");

namespace {

constexpr uint64_t kLengthBytes = sizeof(uint32_t);

struct Free {
  void operator()(void* memory) const noexcept { std::free(memory); }
};

Status write_element(OrtValue* value, uint64_t index, std::string_view text) {
  char* buffer = nullptr;
  if (OrtError error(ort().GetResizedStringTensorElementBuffer(value, index, text.size(), &buffer)); error) {
    return Status::error(Code::kEngineFailed, "ONNX Runtime cannot take a string: " + error.message());
  }
  if (!text.empty()) std::memcpy(buffer, text.data(), text.size());
  return Status::ok();
}

}  // namespace

std::optional<std::string_view> WireStrings::next() noexcept {
  if (left() < kLengthBytes) return std::nullopt;
  uint32_t length = 0;
  std::memcpy(&length, data_ + position_, kLengthBytes);
  if (length > left() - kLengthBytes) return std::nullopt;
  const std::string_view text(data_ + position_ + kLengthBytes, length);
  position_ += kLengthBytes + length;
  return text;
}

Status fill_strings(OrtValue* value, uint64_t first, uint64_t count, const void* data, uint64_t bytes) {
  WireStrings strings(data, bytes);
  for (uint64_t index = 0; index < count; ++index) {
    const std::optional<std::string_view> text = strings.next();
    if (!text) {
      return Status::error(Code::kInvalidInput, "the data (" + std::to_string(bytes) + " bytes) ends inside element " +
                                                    std::to_string(index) + " of " + std::to_string(count));
    }
    if (Status status = write_element(value, first + index, *text); !status.is_ok()) return status;
  }
  if (strings.left() != 0) {
    return Status::error(Code::kInvalidInput, std::to_string(strings.left()) + " bytes follow the last of " +
                                                  std::to_string(count) + " elements");
  }
  return Status::ok();
}

Status fill_with(OrtValue* value, uint64_t first, uint64_t count, std::string_view text) {
  for (uint64_t index = first; index < first + count; ++index) {
    if (Status status = write_element(value, index, text); !status.is_ok()) return status;
  }
  return Status::ok();
}

Status strings_to_wire(const OrtValue* value, uint64_t count, std::vector<size_t>* offsets, BufferHandle* out) {
  size_t text_bytes = 0;
  if (count != 0) {
    if (OrtError error(ort().GetStringTensorDataLength(value, &text_bytes)); error) {
      return Status::error(Code::kEngineFailed, "ONNX Runtime cannot measure its strings: " + error.message());
    }
  }
  const uint64_t header_bytes = count * kLengthBytes;
  const uint64_t bytes = header_bytes + text_bytes;
  std::unique_ptr<char, Free> wire(static_cast<char*>(std::malloc(std::max<uint64_t>(bytes, 1))));
  if (!wire) {
    return Status::error(Code::kOutOfMemory,
                         "No memory for " + std::to_string(bytes) + " bytes of strings of an output.");
  }
  if (count != 0) {
    // The texts go to the end of the buffer, then each moves towards the front, behind its length. Text i lands at
    // 4 (i + 1) + start and comes from 4 count + start: never in front of where it is read, so nothing is lost.
    char* texts = wire.get() + header_bytes;
    offsets->resize(count);
    if (OrtError error(ort().GetStringTensorContent(value, texts, text_bytes, offsets->data(), count)); error) {
      return Status::error(Code::kEngineFailed, "ONNX Runtime cannot copy its strings: " + error.message());
    }
    char* place = wire.get();
    for (uint64_t index = 0; index < count; ++index) {
      const size_t start = (*offsets)[index];
      const size_t length = (index + 1 < count ? (*offsets)[index + 1] : text_bytes) - start;
      if (length > std::numeric_limits<uint32_t>::max()) {
        return Status::error(Code::kNotSupported, "A string of an output is longer than 4 GiB.");
      }
      const auto length_on_wire = static_cast<uint32_t>(length);
      std::memcpy(place, &length_on_wire, kLengthBytes);
      std::memmove(place + kLengthBytes, texts + start, length);
      place += kLengthBytes + length;
    }
  }
  out->data = wire.get();
  out->bytes = bytes;
  out->kind = MemoryKind::kEngine;
  out->release = [](void* memory) { std::free(memory); };
  out->context = wire.release();
  return Status::ok();
}

}  // namespace subten
