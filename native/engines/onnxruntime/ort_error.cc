#include "engines/onnxruntime/ort_error.h"

namespace subten {

std::string one_line(std::string_view text, size_t limit) {
  std::string line;
  for (char character : text) {
    const bool blank = static_cast<unsigned char>(character) <= ' ' || character == '\x7f';
    if (!blank) {
      line.push_back(character);
    } else if (!line.empty() && line.back() != ' ') {
      line.push_back(' ');
    }
    if (line.size() > limit) break;
  }
  if (line.size() > limit) {
    // Not in the middle of a character: step back over continuation bytes to the start of the one that was cut.
    size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
    line.resize(end);
    line += "...";
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace subten
