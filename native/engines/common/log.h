// What the libraries of engines write to their logs, on its way to whoever listens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace subten {

enum class LogLevel : uint8_t { kError = 0, kWarning, kInfo, kVerbose };

struct LogLine {
  std::string_view engine;
  LogLevel level = LogLevel::kInfo;
  std::string source;  // file and line in the library
  std::string message;
};

// Called for each line on a thread of the engine; must not block. One for the process, null: lines are dropped.
using LogSink = void (*)(const LogLine& line) noexcept;
void set_log_sink(LogSink sink) noexcept;
void write_log(const LogLine& line) noexcept;

}  // namespace subten
