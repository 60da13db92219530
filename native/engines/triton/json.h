// Reads the JSON that Triton's C API answers with: metadata and configuration of a model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace subten {

// A JSON value. Looking for what is not there gives an empty value, so that a chain of lookups needs no checks between.
class Json {
 public:
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kArray, kObject };

  // False when `text` is not one JSON value (RFC 8259); nesting beyond 64 levels is refused.
  static bool parse(std::string_view text, Json* out);

  Kind kind() const noexcept { return kind_; }
  bool boolean() const noexcept { return kind_ == Kind::kBool && number_ != 0; }
  // A number, or a string that is one: protobuf's JSON writes 64-bit integers as strings.
  int64_t integer(int64_t otherwise = 0) const noexcept;
  // Text of a string; "" for anything else.
  const std::string& text() const noexcept { return text_; }
  const std::vector<Json>& items() const noexcept { return items_; }
  const std::map<std::string, Json, std::less<>>& members() const noexcept { return members_; }
  const Json& operator[](std::string_view name) const noexcept;
  bool has(std::string_view name) const noexcept { return members_.find(name) != members_.end(); }

 private:
  friend class JsonReader;
  Kind kind_ = Kind::kNull;
  double number_ = 0;
  std::string text_;
  std::vector<Json> items_;
  std::map<std::string, Json, std::less<>> members_;
};

// `text` as a JSON string, in quotes.
std::string json_quoted(std::string_view text);

}  // namespace subten
