// Errors are values: no exception crosses a C or N-API boundary.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace subten {

// The order is the order of ERROR_TABLE in src/runtime/error-table.ts; a test compares the two.
enum class Code : uint8_t {
  kOk = 0,
  kInvalidInput,
  kBatchTooLarge,
  kQueueFull,
  kDeadlineExceeded,
  kSloUnreachable,
  kModelNotFound,
  kModelInvalid,
  kModelClosed,
  kConfigInvalid,
  kEngineNotFound,
  kEngineVersion,
  kEngineFailed,
  kOutOfMemory,
  kSlotReleased,
  kNotSupported,
  kUnsupportedPlatform,
};

// `message` says what was wrong, for the user who reads the error; empty when ok.
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message;

  static Status ok() { return {}; }
  static Status error(Code code, std::string message) { return {code, std::move(message)}; }
  // For noexcept code: when there is no memory for the sentence, the code goes without.
  static Status quiet(Code code, const char* message) noexcept {
    Status status;
    status.code = code;
    try {
      status.message = message;
    } catch (...) {
    }
    return status;
  }
  bool is_ok() const noexcept { return code == Code::kOk; }
};

}  // namespace subten
