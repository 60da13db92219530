// A Triton server of a few maps: what our backend sees of the real one, with every object counted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "triton_backend/triton_api.h"

namespace subten::triton_backend {

struct Error {
  ErrorCode code;
  std::string message;
};
struct Message {
  std::string text;
};
struct Backend {
  std::string folder;
  Message config{"{}"};
};
struct Model {
  Backend* backend = nullptr;
  std::string name = "test";
  std::string folder;
  std::string config;  // JSON
  bool complete = true;
  void* state = nullptr;
};
struct ModelInstance {
  Model* model = nullptr;
  InstanceKind kind = InstanceKind::kCpu;
  int32_t device = 0;
  void* state = nullptr;
  uint64_t succeeded = 0;
  uint64_t failed = 0;
  std::vector<uint64_t> batches;
};
struct Input {
  std::string name;
  ServerType type = ServerType::kFp32;
  std::vector<int64_t> shape;
  std::vector<std::string> buffers;
  ServerMemory memory = ServerMemory::kCpu;

  uint64_t bytes() const noexcept;
};
struct Output {
  std::string name;
  ServerType type = ServerType::kInvalid;
  std::vector<int64_t> shape;
  std::unique_ptr<std::vector<char>> data;  // of the exact size, so that ASan sees what writes beyond it
};
struct Request {
  std::vector<Input> inputs;
  std::vector<std::string> outputs;
  bool cancelled = false;
  bool refuse_memory = false;    // OutputBuffer fails
  bool refuse_response = false;  // ResponseNew fails
  ServerMemory output_memory = ServerMemory::kCpu;
  // What became of it.
  int responses = 0;
  int releases = 0;
  int reports = 0;
  std::unique_ptr<Error> error;
  std::map<std::string, Output> results;

  std::string_view text(const std::string& output) const;
  std::vector<float> floats(const std::string& output) const;
};
struct Response {
  Request* request = nullptr;
  std::map<std::string, Output> outputs;
};

}  // namespace subten::triton_backend

namespace subten::test {

// The table that the backend is given; objects alive beside those of the test itself.
const triton_backend::TritonApi* fake_triton();
struct FakeCounts {
  int errors = 0;
  int messages = 0;
  int responses = 0;
  int gpu_copies = 0;
};
FakeCounts& fake_counts();

}  // namespace subten::test

// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
extern "C" {
subten::triton_backend::Error* TRITONBACKEND_ModelInitialize(subten::triton_backend::Model*);
subten::triton_backend::Error* TRITONBACKEND_ModelFinalize(subten::triton_backend::Model*);
subten::triton_backend::Error* TRITONBACKEND_ModelInstanceInitialize(subten::triton_backend::ModelInstance*);
subten::triton_backend::Error* TRITONBACKEND_ModelInstanceFinalize(subten::triton_backend::ModelInstance*);
subten::triton_backend::Error* TRITONBACKEND_ModelInstanceExecute(subten::triton_backend::ModelInstance*,
                                                                  subten::triton_backend::Request**, uint32_t);
}
// NOLINTEND(readability-identifier-naming)
