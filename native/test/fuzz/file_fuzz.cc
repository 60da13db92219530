// What the ONNX Runtime engine reads by itself: the head of a model file, a shared library, strings in wire form, and
// the text of its parameters.

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "engines/common/elf_file.h"
#include "engines/onnxruntime/model_file.h"
#include "engines/onnxruntime/parameters.h"
#include "engines/onnxruntime/string_tensor.h"
#include "fuzz_bytes.h"

namespace subten {
namespace {

void read_strings(const uint8_t* data, size_t size) {
  WireStrings strings(data, size);
  uint64_t seen = 0;
  while (const auto text = strings.next()) seen += 4 + text->size();
  must(seen + strings.left() == size, "strings that do not add up");
}

void read_file(const uint8_t* data, size_t size) {
  static const int file = ::memfd_create("fuzz", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  must(::ftruncate(file, 0) == 0 && ::pwrite(file, data, size, 0) == static_cast<ssize_t>(size), "no file to read");
  (void)find_unsupported_tensor(path);
  (void)shared_library_problem(path);
}

void read_parameters(const uint8_t* data, size_t size) {
  static constexpr const char* kNames[] = {
      "intra_op_thread_count", "inter_op_thread_count", "execution_mode",
      "enable_mem_arena",      "enable_mem_pattern",    "log_severity_level",
      "optimization_level",    "session.any",           "memory.enable_memory_arena_shrinkage"};
  if (size == 0) return;
  EngineOptions options;
  options.parameters.emplace_back(kNames[*data % std::size(kNames)],
                                  std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  OrtParameters parameters;
  const Status status = parse_ort_parameters(options, &parameters);
  must(status.is_ok() || (status.code == Code::kConfigInvalid && !status.message.empty()), "an error without its kind");
}

}  // namespace
}  // namespace subten

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  subten::read_strings(data, size);
  subten::read_file(data, size);
  subten::read_parameters(data, size);
  return 0;
}
