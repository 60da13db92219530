// Errors of the server's API beside our Status.
#pragma once

#include <memory>
#include <string>

#include "memory/status.h"
#include "triton_backend/triton_api.h"

namespace subten::triton_backend {

struct Release {
  void operator()(Error* error) const noexcept { api().TRITONSERVER_ErrorDelete(error); }
  void operator()(Message* message) const noexcept {
    if (Error* error = api().TRITONSERVER_MessageDelete(message); error != nullptr) (*this)(error);
  }
};
template <typename T>
using Owned = std::unique_ptr<T, Release>;

// What the server knows our code as.
ErrorCode error_code(Code code) noexcept;

// An error for the server, who takes it; null when `status` is ok.
Error* to_error(const Status& status) noexcept;

// Takes what a function of the server returned. `what` begins the sentence: "Triton does not name the model".
Status taken(Error* error, const char* what);

// Takes an error that nobody can be told of, and logs it.
void log_error(Error* error, const char* what) noexcept;
void log_line(LogLevel level, const std::string& line) noexcept;

}  // namespace subten::triton_backend
