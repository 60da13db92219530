#include "engines/common/log.h"

#include <atomic>

namespace subten {
namespace {

std::atomic<LogSink> current{nullptr};

}  // namespace

void set_log_sink(LogSink sink) noexcept { current.store(sink, std::memory_order_release); }

void write_log(const LogLine& line) noexcept {
  if (const LogSink sink = current.load(std::memory_order_acquire)) sink(line);
}

}  // namespace subten
