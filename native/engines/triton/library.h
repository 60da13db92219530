// Triton's library: found, checked and loaded once for the process, never unloaded.
#pragma once

#include <memory>
#include <string>

#include "engines/triton/tritonserver_api.h"
#include "memory/status.h"

namespace subten {

// The functions. Only after load_triton() has succeeded.
const TritonApi& triton() noexcept;

struct TritonLibrary {
  std::string path;     // the file it was loaded from
  std::string version;  // of the API, "1.34"
  uint32_t minor = 0;
};
// Empty before load_triton().
TritonLibrary triton_library();

// Loads the library at `path`, a file. Libraries that it needs and the system lacks are taken from the folder of the
// file. A process has one Triton: another path than the first is refused.
// Errors: kEngineNotFound (missing, not a library for this machine), kEngineVersion (API major, a missing function).
Status load_triton(const std::string& path);

// Lets the process see the symbols of Triton and of all it needs, for backends that use them without naming the library
// that has them; others find it by its name. False when that was done before, or cannot be done.
bool share_triton_symbols() noexcept;

// Opens what the backends in `directory` need of the libraries beside Triton's own: the loader would not look there.
void preload_for_backends(const std::string& directory);

// An error of the C API, deleted at the end.
class TritonError {
 public:
  TritonError() = default;
  TritonError(TRITONSERVER_Error* error) noexcept : error_(error) {}  // NOLINT: reads as `if (TritonError e = call())`
  TritonError(const TritonError&) = delete;
  TritonError& operator=(const TritonError&) = delete;
  ~TritonError() {
    if (error_ != nullptr) triton().ErrorDelete(error_);
  }
  explicit operator bool() const noexcept { return error_ != nullptr; }
  TRITONSERVER_Error* get() const noexcept { return error_; }
  TRITONSERVER_Error_Code code() const noexcept { return triton().ErrorCode(error_); }
  const char* message() const noexcept { return triton().ErrorMessage(error_); }

 private:
  TRITONSERVER_Error* error_ = nullptr;
};

// What Triton's error means to a request: kInvalidInput, kDeadlineExceeded, kQueueFull, kModelClosed, …
Status request_status(TRITONSERVER_Error* error) noexcept;

}  // namespace subten
