#include "engines/triton/log_pipe.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

namespace subten {
namespace {

constexpr size_t kLongestLine = 64 * 1024;

void read_lines(int from) noexcept {
  ::pthread_setname_np(::pthread_self(), "triton-log");
  std::array<char, 4096> part;
  std::string line;
  for (;;) {
    const ssize_t count = ::read(from, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    try {
      for (ssize_t i = 0; i < count; ++i) {
        if (part[static_cast<size_t>(i)] != '\n') {
          if (line.size() < kLongestLine) line.push_back(part[static_cast<size_t>(i)]);
          continue;
        }
        if (!line.empty()) write_log(parse_triton_line(line));
        line.clear();
      }
    } catch (...) {  // no memory: this line is lost
      line.clear();
    }
  }
}

std::string open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
  // Signals of the process are for its own threads.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(read_lines, ends[0]).detach();
  } catch (...) {
    ::close(ends[0]);
    ::close(ends[1]);
    ends[1] = -1;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // Both ends stay open as long as the process lives.
  return ends[1] < 0 ? std::string() : "/proc/self/fd/" + std::to_string(ends[1]);
}

}  // namespace

std::string triton_log_path() noexcept {
  try {
    static const std::string* const path = new std::string(open_pipe());
    return *path;
  } catch (...) {
    return {};
  }
}

LogLine parse_triton_line(std::string_view line) {
  LogLine parsed{"triton", LogLevel::kInfo, {}, {}};
  constexpr std::string_view kLetters = "EWIV";
  const size_t letter = line.empty() ? std::string_view::npos : kLetters.find(line[0]);
  const size_t bracket = line.find("] ");
  if (letter == std::string_view::npos || bracket == std::string_view::npos || line.size() < 2 || line[1] < '0' ||
      line[1] > '9') {
    parsed.message = line;
    return parsed;
  }
  parsed.level = static_cast<LogLevel>(letter);
  const std::string_view head = line.substr(0, bracket);
  parsed.source = head.substr(head.rfind(' ') + 1);
  std::string_view text = line.substr(bracket + 2);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  parsed.message = text;
  return parsed;
}

}  // namespace subten
