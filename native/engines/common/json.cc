#include "engines/common/json.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

namespace subten {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  bool whole(Json* out) { return value(out, 0) && (skip(), position_ == text_.size()); }

 private:
  void skip() noexcept {
    while (position_ < text_.size() && std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }
  bool take(char character) noexcept {
    skip();
    if (position_ >= text_.size() || text_[position_] != character) return false;
    ++position_;
    return true;
  }
  bool word(std::string_view expected) noexcept {
    if (!text_.substr(position_).starts_with(expected)) return false;
    position_ += expected.size();
    return true;
  }

  bool value(Json* out, int depth) {
    if (depth > kMaxDepth) return false;
    skip();
    if (position_ >= text_.size()) return false;
    switch (text_[position_]) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"':
        out->kind = Json::Kind::kString;
        return string(&out->text);
      case 't':
        *out = Json::boolean(true);
        return word("true");
      case 'f':
        *out = Json::boolean(false);
        return word("false");
      case 'n':
        return word("null");
      default:
        return number(out);
    }
  }

  bool object(Json* out, int depth) {
    out->kind = Json::Kind::kObject;
    take('{');
    if (take('}')) return true;
    do {
      skip();
      JsonMember member;
      if (!string(&member.name) || !take(':') || !value(&member.value, depth + 1)) return false;
      out->members.push_back(std::move(member));
    } while (take(','));
    return take('}');
  }

  bool array(Json* out, int depth) {
    out->kind = Json::Kind::kArray;
    take('[');
    if (take(']')) return true;
    do {
      if (!value(&out->items.emplace_back(), depth + 1)) return false;
    } while (take(','));
    return take(']');
  }

  bool number(Json* out) {
    const size_t end = std::min(text_.find_first_not_of("+-.0123456789eE", position_), text_.size());
    if (end == position_) return false;
    out->kind = Json::Kind::kNumber;
    out->text = text_.substr(position_, end - position_);
    position_ = end;
    return true;
  }

  bool string(std::string* out) {
    if (position_ >= text_.size() || text_[position_] != '"') return false;
    ++position_;
    while (position_ < text_.size()) {
      const char character = text_[position_++];
      if (character == '"') return true;
      if (character != '\\') {
        out->push_back(character);
      } else if (!escape(out)) {
        return false;
      }
    }
    return false;
  }

  bool escape(std::string* out) {
    if (position_ >= text_.size()) return false;
    const char kind = text_[position_++];
    static constexpr std::string_view kShort = "\"\"\\\\//b\bf\fn\nr\rt\t";
    for (size_t index = 0; index < kShort.size(); index += 2) {
      if (kShort[index] == kind) {
        out->push_back(kShort[index + 1]);
        return true;
      }
    }
    uint32_t code = 0;
    if (kind != 'u' || !hex(&code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      uint32_t low = 0;
      if (!word("\\u") || !hex(&low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    put_utf8(code, out);
    return true;
  }

  bool hex(uint32_t* code) noexcept {
    if (text_.size() - position_ < 4) return false;
    const char* start = text_.data() + position_;
    const auto [end, error] = std::from_chars(start, start + 4, *code, 16);
    position_ += 4;
    return error == std::errc() && end == start + 4;
  }

  static void put_utf8(uint32_t code, std::string* out) {
    const auto put = [out](uint32_t byte) { out->push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
      put(0xC0 | (code >> 6));
    } else {
      if (code < 0x10000) {
        put(0xE0 | (code >> 12));
      } else {
        put(0xF0 | (code >> 18));
        put(0x80 | ((code >> 12) & 0x3F));
      }
      put(0x80 | ((code >> 6) & 0x3F));
    }
    put(0x80 | (code & 0x3F));
  }

  std::string_view text_;
  size_t position_ = 0;
};

void write_string(std::string_view text, std::string* out) {
  out->push_back('"');
  for (char character : text) {
    if (character == '"' || character == '\\') {
      out->push_back('\\');
      out->push_back(character);
    } else if (static_cast<unsigned char>(character) < ' ') {
      char code[8];
      std::snprintf(code, sizeof(code), "\\u%04x", static_cast<unsigned>(character));
      out->append(code);
    } else {
      out->push_back(character);
    }
  }
  out->push_back('"');
}

void write(const Json& value, std::string* out) {
  switch (value.kind) {
    case Json::Kind::kNull:
      out->append("null");
      return;
    case Json::Kind::kBool:
    case Json::Kind::kNumber:
      out->append(value.text);
      return;
    case Json::Kind::kString:
      return write_string(value.text, out);
    case Json::Kind::kArray:
      out->push_back('[');
      for (size_t index = 0; index < value.items.size(); ++index) {
        if (index > 0) out->push_back(',');
        write(value.items[index], out);
      }
      out->push_back(']');
      return;
    case Json::Kind::kObject:
      out->push_back('{');
      for (size_t index = 0; index < value.members.size(); ++index) {
        if (index > 0) out->push_back(',');
        write_string(value.members[index].name, out);
        out->push_back(':');
        write(value.members[index].value, out);
      }
      out->push_back('}');
  }
}

}  // namespace

Json Json::string(std::string_view value) {
  Json json;
  json.kind = Kind::kString;
  json.text = value;
  return json;
}

Json Json::number(int64_t value) {
  Json json;
  json.kind = Kind::kNumber;
  json.text = std::to_string(value);
  return json;
}

Json Json::boolean(bool value) {
  Json json;
  json.kind = Kind::kBool;
  json.text = value ? "true" : "false";
  return json;
}

Json Json::array(const std::vector<int64_t>& numbers) {
  Json json;
  json.kind = Kind::kArray;
  for (int64_t value : numbers) json.items.push_back(number(value));
  return json;
}

Json Json::object() {
  Json json;
  json.kind = Kind::kObject;
  return json;
}

const Json& Json::operator[](std::string_view name) const noexcept {
  static const Json nothing;
  const Json* found = find(name);
  return found != nullptr ? *found : nothing;
}

const Json* Json::find(std::string_view name) const noexcept {
  for (const auto& [key, value] : members) {
    if (key == name) return &value;
  }
  return nullptr;
}

Json* Json::find(std::string_view name) noexcept {
  return const_cast<Json*>(static_cast<const Json*>(this)->find(name));
}

Json& Json::member(std::string_view name) {
  if (Json* found = find(name); found != nullptr) return *found;
  members.push_back({std::string(name), Json{}});
  return members.back().value;
}

std::string_view Json::text_of(std::string_view name, std::string_view otherwise) const noexcept {
  const Json* value = find(name);
  return value != nullptr && value->kind == Kind::kString ? std::string_view(value->text) : otherwise;
}

int64_t Json::integer_of(std::string_view name, int64_t otherwise) const noexcept {
  const Json* value = find(name);
  return value == nullptr ? otherwise : value->integer(otherwise);
}

bool Json::true_of(std::string_view name) const noexcept {
  const Json* value = find(name);
  return value != nullptr && value->kind == Kind::kBool && value->text == "true";
}

int64_t Json::integer(int64_t otherwise) const noexcept {
  if (kind != Kind::kNumber && kind != Kind::kString) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

bool parse_json(std::string_view text, Json* out) { return Parser(text).whole(out); }

std::string write_json(const Json& value) {
  std::string text;
  write(value, &text);
  return text;
}

}  // namespace subten
