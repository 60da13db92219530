// Errors of ONNX Runtime as sentences of one line.
#pragma once

#include <string>
#include <string_view>

#include "engines/onnxruntime/ort_api.h"

namespace subten {

// `text` on one line, its runs of blanks made one, at most `limit` bytes (cut between characters of UTF-8).
std::string one_line(std::string_view text, size_t limit = 400);

// Takes the error, if it is one, and keeps its message: `OrtError error(ort().Run(...)); if (error) ...`.
class OrtError {
 public:
  explicit OrtError(OrtStatus* status) noexcept : status_(status) {}
  explicit operator bool() const noexcept { return status_ != nullptr; }
  OrtErrorCode code() const noexcept { return status_ ? ort().GetErrorCode(status_.get()) : OrtErrorCode::kOk; }
  std::string_view raw() const noexcept { return status_ ? ort().GetErrorMessage(status_.get()) : ""; }
  std::string message() const { return one_line(raw()); }

 private:
  OrtOwned<OrtStatus> status_;
};

}  // namespace subten
