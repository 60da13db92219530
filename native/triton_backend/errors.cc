#include "triton_backend/errors.h"

namespace subten::triton_backend {

ErrorCode error_code(Code code) noexcept {
  switch (code) {
    case Code::kInvalidInput:
    case Code::kBatchTooLarge:
    case Code::kModelInvalid:
    case Code::kConfigInvalid:
      return ErrorCode::kInvalidArgument;
    case Code::kModelNotFound:
      return ErrorCode::kNotFound;
    case Code::kEngineNotFound:
    case Code::kOutOfMemory:
      return ErrorCode::kUnavailable;
    case Code::kEngineVersion:
    case Code::kNotSupported:
    case Code::kUnsupportedPlatform:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kInternal;
  }
}

Error* to_error(const Status& status) noexcept {
  if (status.is_ok()) return nullptr;
  const char* message = !status.message.empty()             ? status.message.c_str()
                        : status.code == Code::kOutOfMemory ? "There is not enough memory."
                                                            : "The backend failed.";
  return api().TRITONSERVER_ErrorNew(error_code(status.code), message);
}

Status taken(Error* error, const char* what) {
  if (error == nullptr) return Status::ok();
  const Owned<Error> owner(error);
  const char* message = api().TRITONSERVER_ErrorMessage(error);
  return Status::error(Code::kEngineFailed, std::string(what) + ": " + (message == nullptr ? "" : message));
}

void log_error(Error* error, const char* what) noexcept {
  if (error == nullptr) return;
  try {
    log_line(LogLevel::kError, taken(error, what).message);
  } catch (...) {
    // No memory for a log line: the line is lost.
  }
}

void log_line(LogLevel level, const std::string& line) noexcept {
  const Owned<Error> ignored(api().TRITONSERVER_LogMessage(level, "subten_onnxruntime", 0, line.c_str()));
}

}  // namespace subten::triton_backend
