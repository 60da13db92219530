#include "engines/triton/json.h"

#include <charconv>
#include <cstdio>

namespace subten {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool document(Json* out) {
    if (!value(out, 0)) return false;
    space();
    return at_ == end_;
  }

 private:
  static constexpr int kDeepest = 64;

  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool take(char wanted) {
    space();
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    if (static_cast<size_t>(end_ - at_) < wanted.size() || std::string_view(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  bool value(Json* out, int depth) {
    space();
    if (at_ == end_ || depth > kDeepest) return false;
    switch (*at_) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"':
        out->kind_ = Json::Kind::kString;
        return string(&out->text_);
      case 't':
      case 'f':
        out->kind_ = Json::Kind::kBool;
        out->number_ = *at_ == 't' ? 1 : 0;
        return word(*at_ == 't' ? "true" : "false");
      case 'n':
        return word("null");
      default:
        out->kind_ = Json::Kind::kNumber;
        return number(out);
    }
  }

  bool object(Json* out, int depth) {
    out->kind_ = Json::Kind::kObject;
    ++at_;
    if (take('}')) return true;
    do {
      space();
      std::string name;
      if (at_ == end_ || *at_ != '"' || !string(&name) || !take(':')) return false;
      if (!value(&out->members_[name], depth + 1)) return false;
    } while (take(','));
    return take('}');
  }

  bool array(Json* out, int depth) {
    out->kind_ = Json::Kind::kArray;
    ++at_;
    if (take(']')) return true;
    do {
      out->items_.emplace_back();
      if (!value(&out->items_.back(), depth + 1)) return false;
    } while (take(','));
    return take(']');
  }

  bool number(Json* out) {
    const auto [next, error] = std::from_chars(at_, end_, out->number_);
    if (error != std::errc() || next == at_) return false;
    out->text_.assign(at_, next);
    at_ = next;
    return true;
  }

  bool string(std::string* out) {
    ++at_;
    while (at_ != end_) {
      const char c = *at_++;
      if (c == '"') return true;
      if (c != '\\') {
        out->push_back(c);
      } else if (at_ == end_ || !escape(*at_++, out)) {
        return false;
      }
    }
    return false;
  }

  bool escape(char c, std::string* out) {
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (const size_t index = kFrom.find(c); index != std::string_view::npos) {
      out->push_back(kTo[index]);
      return true;
    }
    uint32_t code = 0;
    if (c != 'u' || !hex(&code)) return false;
    uint32_t low = 0;
    if (code >= 0xD800 && code < 0xDC00) {  // a pair of surrogates
      if (!word("\\u") || !hex(&low) || low < 0xDC00 || low > 0xDFFF) return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    utf8(code, out);
    return true;
  }

  bool hex(uint32_t* code) {
    if (end_ - at_ < 4) return false;
    const auto [next, error] = std::from_chars(at_, at_ + 4, *code, 16);
    if (error != std::errc() || next != at_ + 4) return false;
    at_ = next;
    return true;
  }

  static void utf8(uint32_t code, std::string* out) {
    const auto tail = [&](int shift) { out->push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F))); };
    if (code < 0x80) {
      out->push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out->push_back(static_cast<char>(0xC0 | (code >> 6)));
      tail(0);
    } else if (code < 0x10000) {
      out->push_back(static_cast<char>(0xE0 | (code >> 12)));
      tail(6);
      tail(0);
    } else {
      out->push_back(static_cast<char>(0xF0 | (code >> 18)));
      tail(12);
      tail(6);
      tail(0);
    }
  }

  const char* at_;
  const char* end_;
};

bool Json::parse(std::string_view text, Json* out) {
  *out = Json();
  return JsonReader(text).document(out);
}

int64_t Json::integer(int64_t otherwise) const noexcept {
  if (kind_ != Kind::kNumber && kind_ != Kind::kString) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  return error == std::errc() && end == text_.data() + text_.size() ? value : otherwise;
}

const Json& Json::operator[](std::string_view name) const noexcept {
  static const Json nothing;
  const auto found = members_.find(name);
  return found == members_.end() ? nothing : found->second;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

}  // namespace subten
