#include "engines/onnxruntime/openvino_provider.h"

#include <sys/stat.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/library.h"
#include "engines/onnxruntime/node_assignment.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

constexpr const char* kProvider = "OpenVINO";
constexpr const char* kProviderFile = "libonnxruntime_providers_openvino.so";
constexpr const char* kThreads = "num_of_threads";
constexpr const char* kDevice = "device_type";
constexpr const char* kStreams = "num_streams";

std::atomic<bool>& openvino_used() noexcept {
  static std::atomic<bool> used{false};
  return used;
}

bool exists(const std::string& path) noexcept {
  struct stat information {};
  return stat(path.c_str(), &information) == 0;
}

int threads_of(const OpenVinoSettings& settings) {
  return settings.threads > 0 ? settings.threads : ort_compute_threads();
}

// The provider comes with an ONNX Runtime of its own, and a process has one.
Status check_library() {
  const OrtLibrary library = loaded_ort_library();
  const std::string folder = library.path.substr(0, library.path.rfind('/') + 1);
  if (exists(folder + kProviderFile)) return Status::ok();
  return Status::error(
      Code::kNotSupported,
      "This process uses ONNX Runtime " + library.version + " from " + library.path +
          ", which has no OpenVINO execution provider (there is no " + kProviderFile +
          " beside it), and a process has one ONNX Runtime. Install one with `npx subten providers install openvino`, "
          "and load the model that uses it before every other ONNX model, or name its library in " +
          kOrtLibraryVariable + " so that all models use it.");
}

// What the processor multiplies in beside FP32.
struct Precisions {
  bool bf16 = true;
  bool fp16 = true;
};

Precisions precisions_here() noexcept {
  Precisions here;
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  here.fp16 = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & (1U << 23)) != 0;  // AVX512_FP16
  here.bf16 = __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 5)) != 0;   // AVX512_BF16
#endif
  return here;
}

// Elsewhere OpenVINO would emulate it, many times slower than FP32.
Status check_precision(const std::string& precision) {
  const Precisions here = precisions_here();
  const bool missing = (precision == "bf16" && !here.bf16) || (precision == "fp16" && !here.fp16);
  if (!missing) return Status::ok();
  return Status::error(Code::kNotSupported, "executionProviders: precision '" + precision +
                                                "' needs a processor that computes in it (" +
                                                (precision == "bf16" ? "AVX512_BF16" : "AVX512_FP16") +
                                                "), and this one does not; take 'fp32'.");
}

bool says(const std::string& text, std::string_view part) noexcept { return text.find(part) != std::string::npos; }

Status refused(const OpenVinoSettings& settings, const std::string& text) {
  const std::string cause = openvino_cause(text);
  if (says(text, "Failed to load library") || says(text, "Failed to load shared library")) {
    return Status::error(Code::kEngineNotFound,
                         "The OpenVINO execution provider beside " + loaded_ort_library().path +
                             " does not load: a library that it needs is missing. Install it again with `npx subten "
                             "providers install openvino --force`. (" +
                             cause + ")");
  }
  if (says(cause, "Device ") || says(cause, "device_type")) {
    return Status::error(Code::kNotSupported, "OpenVINO has no device '" + settings.option(kDevice) +
                                                  "' here; 'CPU' is there on every machine. (" + cause + ")");
  }
  return Status::error(Code::kConfigInvalid, "The OpenVINO execution provider refuses its options. (" + cause + ")");
}

// Where the signature of a C++ function that begins at `at` ends: after its parameters, and those of a lambda in it.
size_t after_signature(std::string_view text, size_t at) noexcept {
  const size_t open = text.find('(', at);
  if (open == std::string_view::npos) return at;
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '(' || text[i] == '<') ++depth;
    if (text[i] == ')' || text[i] == '>') --depth;
    if (depth == 0 && (i + 1 == text.size() || text[i + 1] == ' ')) return i + 1;
  }
  return at;
}

}  // namespace

std::string openvino_cause(std::string_view text) {
  size_t start = 0;
  for (const std::string_view ending : {".cc:", ".cpp:", ".hpp:", ".h:"}) {
    for (size_t at = text.find(ending); at != std::string_view::npos; at = text.find(ending, at + 1)) {
      size_t end = text.find_first_not_of("0123456789", at + ending.size());
      if (end == std::string_view::npos || end == at + ending.size()) continue;
      // "file.cc:12 function(parameters) message" is ONNX Runtime's, "file.cpp:12: message" OpenVINO's.
      end = text[end] == ' ' ? after_signature(text, end) : end + 1;
      start = std::max(start, end);
    }
  }
  return one_line(text.substr(std::min(start, text.size())));
}

std::string OpenVinoSettings::option(const char* name) const {
  for (const auto& [key, value] : options) {
    if (key == name) return value;
  }
  return {};
}

int OpenVinoSettings::streams() const { return std::max(1, std::atoi(option(kStreams).c_str())); }

Status load_openvino_library(const EngineOptions& options) {
  const std::string& found = find_setting(options, "openvino_library");
  const char* variable = std::getenv(kOrtLibraryVariable);
  const bool named = !options.library_path.empty() || !found.empty() || (variable != nullptr && *variable != '\0');
  if (!named && loaded_ort_library().path.empty()) {
    return Status::error(Code::kEngineNotFound,
                         std::string("executionProviders: OpenVINO is not installed. Install it with `npx subten "
                                     "providers install openvino`, or name an ONNX Runtime that has it in libraryPath "
                                     "or ") +
                             kOrtLibraryVariable + ".");
  }
  return load_ort_library(options.library_path, found);
}

Status use_openvino(const OpenVinoSettings& settings, OrtSessionOptions* options) {
  if (Status status = check_library(); !status.is_ok()) return status;
  if (Status status = check_precision(settings.precision); !status.is_ok()) return status;
  std::vector<const char*> keys{kThreads};
  const std::string threads = std::to_string(threads_of(settings));
  std::vector<const char*> values{threads.c_str()};
  for (const auto& [key, value] : settings.options) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  const uint64_t mark = ort_log_mark();
  if (OrtError error(
          ort().SessionOptionsAppendExecutionProvider(options, kProvider, keys.data(), values.data(), keys.size()));
      error) {
    return refused(settings, ort_error_with_log(error, mark));
  }
  openvino_used().store(true, std::memory_order_relaxed);  // a fact on its own
  return set_cpu_nodes(settings.cpu_nodes, options);
}

bool openvino_was_used() noexcept { return openvino_used().load(std::memory_order_relaxed); }

std::string describe(const OpenVinoSettings& settings) {
  const int streams = settings.streams();
  const int threads = threads_of(settings);
  return "OpenVINO on " + settings.option(kDevice) + ", " + settings.precision + ", " + std::to_string(threads) +
         (threads == 1 ? " thread, " : " threads, ") + std::to_string(streams) +
         (streams == 1 ? " stream" : " streams");
}

Status on_quiet_thread(const std::function<Status()>& work) {
  struct Call {
    const std::function<Status()>& work;
    Status status;
  } call{work, {}};
  const OrtThreadWorker run = [](void* argument) {
    auto* self = static_cast<Call*>(argument);
    try {
      self->status = self->work();
    } catch (const std::bad_alloc&) {
      self->status.code = Code::kOutOfMemory;  // without a message: there is no memory for one
    }
  };
  const void* thread = create_ort_thread(nullptr, run, &call);
  if (thread == nullptr) return Status::error(Code::kOutOfMemory, "No thread to load the model.");
  join_ort_thread(thread);
  return std::move(call.status);
}

}  // namespace subten
