#include "engines/onnxruntime/model_file.h"

#include <algorithm>
#include <fstream>

#include "engines/onnxruntime/element_type.h"

namespace subten {
namespace {

// Field numbers of onnx.proto.
constexpr uint64_t kModelGraph = 7;
constexpr uint64_t kGraphInput = 11;
constexpr uint64_t kGraphOutput = 12;
constexpr uint64_t kValueName = 1;
constexpr uint64_t kValueType = 2;
constexpr uint64_t kTypeTensor = 1;
constexpr uint64_t kTensorElementType = 1;

constexpr uint64_t kMaxNameBytes = 4096;

// One field of a protobuf message; those with content (wire type 2) are [start, end) of the file.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;  // wire type 0
  uint64_t start = 0;
  uint64_t end = 0;
};

// Walks the fields of the message that lies in [position, end) of a file. Content is skipped, so that weights are not
// read, and nothing is trusted: a length that leaves the message ends the walk.
class Fields {
 public:
  Fields(std::ifstream& file, uint64_t position, uint64_t end) : file_(file), position_(position), end_(end) {}

  bool next(Field* field) {
    uint64_t tag = 0;
    if (!read_varint(&tag)) return false;
    *field = {};
    field->number = tag >> 3;
    uint64_t length = 0;
    switch (tag & 7) {
      case 0:
        return read_varint(&field->value);
      case 1:
        length = 8;
        break;
      case 2:
        if (!read_varint(&length)) return false;
        break;
      case 5:
        length = 4;
        break;
      default:
        return false;
    }
    if (length > end_ - position_) return false;
    field->start = position_;
    field->end = position_ + length;
    position_ = field->end;
    return true;
  }

 private:
  bool read_varint(uint64_t* value) {
    *value = 0;
    file_.seekg(static_cast<std::streamoff>(position_));
    for (int shift = 0; shift < 64; shift += 7) {
      if (position_ >= end_) return false;
      const int byte = file_.get();
      if (byte < 0) return false;
      ++position_;
      *value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  std::ifstream& file_;
  uint64_t position_;
  uint64_t end_;
};

std::string read_text(std::ifstream& file, const Field& field) {
  std::string text(std::min(field.end - field.start, kMaxNameBytes), '\0');
  file.seekg(static_cast<std::streamoff>(field.start));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

// The element type of a TypeProto, if it is that of a tensor.
OrtElementType read_type(std::ifstream& file, const Field& type) {
  Field kind;
  for (Fields kinds(file, type.start, type.end); kinds.next(&kind);) {
    if (kind.number != kTypeTensor) continue;
    Field field;
    for (Fields fields(file, kind.start, kind.end); fields.next(&field);) {
      if (field.number == kTensorElementType) return static_cast<OrtElementType>(field.value);
    }
  }
  return OrtElementType::kUndefined;
}

std::optional<UnsupportedTensor> check_value(std::ifstream& file, const Field& value) {
  UnsupportedTensor tensor;
  tensor.output = value.number == kGraphOutput;
  Field field;
  for (Fields fields(file, value.start, value.end); fields.next(&field);) {
    if (field.number == kValueName) tensor.name = read_text(file, field);
    if (field.number == kValueType) tensor.type = read_type(file, field);
  }
  if (tensor.type == OrtElementType::kUndefined || datatype_of(tensor.type)) return std::nullopt;
  return tensor;
}

}  // namespace

std::optional<UnsupportedTensor> find_unsupported_tensor(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return std::nullopt;
  Field part;
  for (Fields model(file, 0, static_cast<uint64_t>(file.tellg())); model.next(&part);) {
    if (part.number != kModelGraph) continue;
    Field value;
    for (Fields graph(file, part.start, part.end); graph.next(&value);) {
      if (value.number != kGraphInput && value.number != kGraphOutput) continue;
      if (std::optional<UnsupportedTensor> tensor = check_value(file, value)) return tensor;
    }
  }
  return std::nullopt;
}

}  // namespace subten
