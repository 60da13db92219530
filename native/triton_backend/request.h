// One request of the server while the backend holds it: what it brings, what it asks for, and its one response.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engines/engine.h"
#include "triton_backend/triton_api.h"

namespace subten::triton_backend {

ServerType server_type(DataType type) noexcept;

// Copies between any two kinds of memory.
Status copy_bytes(void* to, ServerMemory to_memory, const void* from, ServerMemory from_memory, uint64_t bytes);

// Memory of an output in a response.
struct OutputMemory {
  void* data = nullptr;
  ServerMemory memory = ServerMemory::kCpu;
};

// An input as the server holds it, in one buffer or several.
struct RequestInput {
  Input* handle = nullptr;
  uint32_t buffers = 0;
  uint64_t bytes = 0;
  const void* in_place = nullptr;  // where it is one buffer that the CPU can read
};

// Reused from one call of the server to the next: what it has allocated stays.
class ServedRequest {
 public:
  // Looks at the request; what is wrong with it becomes its status. Nothing is copied.
  void begin(Request* request, const ModelSpec& spec, bool batches, int64_t max_batch_size);

  bool sound() const noexcept { return status_.is_ok() && !cancelled_ && response_ != nullptr; }
  // The first failure stays.
  void fail(Status status) noexcept;

  uint32_t rows() const noexcept { return rows_; }
  std::span<const RequestInput> inputs() const noexcept { return inputs_; }
  std::span<const RequestTensor> tensors() const noexcept { return tensors_; }
  std::span<const bool> present() const noexcept { return {present_.data(), inputs_.size()}; }
  bool wants(size_t output) const noexcept { return wanted_[output]; }

  // Whether both can share a run: the same inputs, of the same shape beyond the rows.
  bool fits(const ServedRequest& other) const noexcept;

  // The bytes of an input in one piece; copied where the server has them in several.
  Status gather(size_t input, void* to) const;
  Status in_one_piece(size_t input);

  // Opens an output in the response and gives its memory.
  Status open_output(const TensorSpec& spec, std::span<const int64_t> shape, uint64_t bytes, OutputMemory* out);
  // A new response in place of the one that was begun.
  void restart_response() noexcept;

  // Sends the response, or the error. Exactly once, after which only report and release follow.
  void send() noexcept;
  void release() noexcept;

  Request* request() const noexcept { return request_; }
  bool succeeded() const noexcept { return sent_ok_; }
  // When its run began and ended, on the server's clock; 0 where it did not run.
  int64_t compute_start_ns = 0;
  int64_t compute_end_ns = 0;
  bool grouped = false;

 private:
  Status read_inputs(const ModelSpec& spec, bool batches, int64_t max_batch_size);
  Status read_input(uint32_t index, const ModelSpec& spec, bool batches);
  Status read_outputs(const ModelSpec& spec);

  Request* request_ = nullptr;
  Response* response_ = nullptr;
  Status status_;
  bool cancelled_ = false;
  bool sent_ok_ = false;
  bool has_rows_ = false;
  uint32_t rows_ = 1;
  std::vector<RequestInput> inputs_;
  std::vector<RequestTensor> tensors_;
  std::vector<std::vector<char>> pieces_;  // inputs that had to be put together
  std::array<bool, kMaxTensors> present_{};
  std::array<bool, kMaxTensors> wanted_{};
};

}  // namespace subten::triton_backend
