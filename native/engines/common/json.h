// JSON as Triton writes its configurations: read into a tree, changed, written again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace subten {

struct JsonMember;

struct Json {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  std::string text;  // a string's characters; a number or a boolean as it is written
  std::vector<Json> items;
  std::vector<JsonMember> members;

  static Json string(std::string_view value);
  static Json number(int64_t value);
  static Json boolean(bool value);
  static Json array(const std::vector<int64_t>& numbers = {});
  static Json object();

  // The member, or an empty value: a chain of lookups needs no checks between.
  const Json& operator[](std::string_view name) const noexcept;
  // Null where there is none, or this is no object.
  const Json* find(std::string_view name) const noexcept;
  Json* find(std::string_view name) noexcept;
  // The member, made if there is none.
  Json& member(std::string_view name);
  // Members of objects, absent or of another kind: `otherwise`. Numbers may be written as strings, as protobuf does.
  std::string_view text_of(std::string_view name, std::string_view otherwise = {}) const noexcept;
  int64_t integer_of(std::string_view name, int64_t otherwise = 0) const noexcept;
  bool true_of(std::string_view name) const noexcept;
  // The integer that this is; `otherwise` if it is none.
  int64_t integer(int64_t otherwise = 0) const noexcept;
};

struct JsonMember {
  std::string name;
  Json value;
};

// False when `text` is not one JSON value.
bool parse_json(std::string_view text, Json* out);
std::string write_json(const Json& value);

}  // namespace subten
