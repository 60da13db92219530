// Triton writes its log to a file; this is one whose lines come to engines/common/log.h.
#pragma once

#include <string>
#include <string_view>

#include "engines/common/log.h"

namespace subten {

// The path to give to Triton as its log file: a pipe that a thread of ours empties, so that writing to it never waits
// for a JavaScript environment. One for the process; "" when the system refuses it.
std::string triton_log_path() noexcept;

// "E1125 08:25:15.797258 11052 server.cc:241] \"text\"" → its parts. A line of another form is all message.
LogLine parse_triton_line(std::string_view line);

}  // namespace subten
