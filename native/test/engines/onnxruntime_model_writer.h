// Writes small ONNX models (protobuf) for tests that need one nobody would commit: lying shapes, many weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace subten::test {

inline void put_varint(std::string* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}
inline void put_number(std::string* out, int field, uint64_t value) {
  put_varint(out, static_cast<uint64_t>(field) << 3);
  put_varint(out, value);
}
inline void put_bytes(std::string* out, int field, std::string_view bytes) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  put_varint(out, bytes.size());
  out->append(bytes);
}

using Dim = std::variant<int64_t, std::string>;  // a number or a symbol ("" = dynamic without a name)

struct ModelWriter {
  std::string graph;

  // `dims` empty: no shape at all, the rank is unknown.
  static std::string tensor_info(const std::string& name, int type, const std::optional<std::vector<Dim>>& dims) {
    std::string shape;
    for (const Dim& dim : dims.value_or(std::vector<Dim>{})) {
      std::string entry;
      if (const auto* number = std::get_if<int64_t>(&dim)) {
        put_number(&entry, 1, static_cast<uint64_t>(*number));
      } else if (!std::get<std::string>(dim).empty()) {
        put_bytes(&entry, 2, std::get<std::string>(dim));
      }
      put_bytes(&shape, 1, entry);
    }
    std::string tensor;
    put_number(&tensor, 1, static_cast<uint64_t>(type));
    if (dims) put_bytes(&tensor, 2, shape);
    std::string value_type;
    put_bytes(&value_type, 1, tensor);
    std::string info;
    put_bytes(&info, 1, name);
    put_bytes(&info, 2, value_type);
    return info;
  }

  ModelWriter& node(const char* op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
    std::string text;
    for (const std::string& name : inputs) put_bytes(&text, 1, name);
    for (const std::string& name : outputs) put_bytes(&text, 2, name);
    put_bytes(&text, 4, op);
    put_bytes(&graph, 1, text);
    return *this;
  }
  ModelWriter& input(const std::string& name, int type, const std::optional<std::vector<Dim>>& dims) {
    put_bytes(&graph, 11, tensor_info(name, type, dims));
    return *this;
  }
  ModelWriter& output(const std::string& name, int type, const std::optional<std::vector<Dim>>& dims) {
    put_bytes(&graph, 12, tensor_info(name, type, dims));
    return *this;
  }
  ModelWriter& constant(const std::string& name, int type, const std::vector<int64_t>& dims, std::string_view raw) {
    std::string tensor;
    for (int64_t dim : dims) put_number(&tensor, 1, static_cast<uint64_t>(dim));
    put_number(&tensor, 2, static_cast<uint64_t>(type));
    put_bytes(&tensor, 8, name);
    put_bytes(&tensor, 9, raw);
    put_bytes(&graph, 5, tensor);
    return *this;
  }

  std::string bytes() const {
    std::string named = graph;
    put_bytes(&named, 2, "test");
    std::string opset;
    put_number(&opset, 2, 17);
    std::string entry;
    put_bytes(&entry, 1, "author");
    put_bytes(&entry, 2, "a test");
    std::string model;
    put_number(&model, 1, 8);
    put_bytes(&model, 2, "writer");
    put_number(&model, 5, 7);  // model version
    put_bytes(&model, 7, named);
    put_bytes(&model, 8, opset);
    put_bytes(&model, 14, entry);
    return model;
  }
};

}  // namespace subten::test
