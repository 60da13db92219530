#include "engines/onnxruntime/library.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <string_view>

#include "engines/common/elf_file.h"
#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

#if defined(__aarch64__)
constexpr const char* kPackage = "@subten/onnxruntime-linux-arm64";
#else
constexpr const char* kPackage = "@subten/onnxruntime-linux-x64";
#endif
constexpr const char* kSystemName = "libonnxruntime.so.1";

std::string install_advice() { return std::string("Install it with: npm install ") + kPackage; }

// Process-wide and never destroyed, like the library.
struct Loaded {
  std::mutex mutex;
  std::string hint;
  OrtLibrary library;
  std::atomic<const OrtApi*> api{nullptr};
};

Loaded& loaded() noexcept {
  alignas(Loaded) static std::byte storage[sizeof(Loaded)];
  static Loaded* const instance = new (storage) Loaded;
  return *instance;
}

// y = x + x over two floats: an ONNX model (protobuf) assembled by hand. Each line is one field: tag, length, content.
constexpr unsigned char kTinyModel[] = {
    0x08, 0x08,                   // ir_version: 8
    0x42, 0x02, 0x10, 0x0d,       // opset_import: {version: 13}
    0x3a, 0x35,                   // graph, 53 bytes
    0x0a, 0x0e,                   //   node, 14 bytes
    0x0a, 0x01, 'x',              //     input: "x"
    0x0a, 0x01, 'x',              //     input: "x"
    0x12, 0x01, 'y',              //     output: "y"
    0x22, 0x03, 'A',  'd',  'd',  //     op_type: "Add"
    0x12, 0x01, 't',              //   name: "t"
    0x5a, 0x0f,                   //   input, 15 bytes
    0x0a, 0x01, 'x',              //     name: "x"
    0x12, 0x0a, 0x0a, 0x08,       //     type: {tensor_type: {
    0x08, 0x01,                   //       elem_type: FLOAT
    0x12, 0x04,                   //       shape: {
    0x0a, 0x02, 0x08, 0x02,       //         dim: {dim_value: 2}}}}
    0x62, 0x0f,                   //   output, 15 bytes, as the input
    0x0a, 0x01, 'y',              //     name: "y"
    0x12, 0x0a, 0x0a, 0x08,       //
    0x08, 0x01,                   //
    0x12, 0x04,                   //
    0x0a, 0x02, 0x08, 0x02,       //
};

// Loads and runs the tiny model: a table whose functions do not lie where we think would show here, at a known moment,
// and not in a user's request.
std::string self_test() {
  OrtSessionOptions* raw_options = nullptr;
  if (OrtError error(ort().CreateSessionOptions(&raw_options)); error) return error.message();
  const OrtOwned<OrtSessionOptions> options(raw_options);
  if (OrtError error(ort().DisablePerSessionThreads(options.get())); error) return error.message();

  OrtSession* raw_session = nullptr;
  if (OrtError error(
          ort().CreateSessionFromArray(ort_environment(), kTinyModel, sizeof(kTinyModel), options.get(), &raw_session));
      error) {
    return error.message();
  }
  const OrtOwned<OrtSession> session(raw_session);
  size_t inputs = 0;
  size_t outputs = 0;
  if (OrtError error(ort().SessionGetInputCount(session.get(), &inputs)); error) return error.message();
  if (OrtError error(ort().SessionGetOutputCount(session.get(), &outputs)); error) return error.message();
  if (inputs != 1 || outputs != 1) return "it miscounts the inputs and outputs of a model";

  std::array<float, 2> numbers{1.5F, -2.0F};
  const int64_t shape[] = {2};
  OrtValue* raw_input = nullptr;
  if (OrtError error(ort().CreateTensorWithDataAsOrtValue(ort_cpu_memory(), numbers.data(), sizeof(numbers), shape, 1,
                                                          OrtElementType::kFloat, &raw_input));
      error) {
    return error.message();
  }
  const OrtOwned<OrtValue> input(raw_input);
  const char* input_name = "x";
  const char* output_name = "y";
  const OrtValue* input_values[] = {input.get()};
  OrtValue* output_values[] = {nullptr};
  OrtError error(ort().Run(session.get(), nullptr, &input_name, input_values, 1, &output_name, 1, output_values));
  const OrtOwned<OrtValue> output(output_values[0]);
  if (error) return error.message();
  if (!output) return "it gave no output";

  OrtElementType type = OrtElementType::kUndefined;
  const int64_t* dims = nullptr;
  size_t rank = 0;
  if (OrtError failure(ort().GetTensorElementTypeAndShapeDataReference(output.get(), &type, &dims, &rank)); failure) {
    return failure.message();
  }
  void* data = nullptr;
  if (OrtError failure(ort().GetTensorMutableData(output.get(), &data)); failure) return failure.message();
  if (type != OrtElementType::kFloat || rank != 1 || dims[0] != 2) return "it gave an output of the wrong shape";
  const auto* sums = static_cast<const float*>(data);
  if (sums[0] != 3.0F || sums[1] != -4.0F) return "it computed a wrong sum";
  return {};
}

// Whether `version` ("1.30.0") is 1.`least` or a newer 1.x.
bool has_minor(std::string_view version, uint32_t least) noexcept {
  int major = -1;
  uint32_t minor = 0;
  const char* end = version.data() + version.size();
  const auto [after_major, error] = std::from_chars(version.data(), end, major);
  if (error != std::errc() || major != 1 || after_major == end || *after_major != '.') return false;
  return std::from_chars(after_major + 1, end, minor).ec == std::errc() && minor >= least;
}

bool exists(const std::string& path) noexcept {
  struct stat information {};
  return stat(path.c_str(), &information) == 0;
}

// The file that `symbol` was loaded from.
std::string path_of(const void* symbol, const std::string& otherwise) {
  Dl_info information{};
  if (dladdr(symbol, &information) == 0 || information.dli_fname == nullptr) return otherwise;
  char resolved[PATH_MAX];
  return realpath(information.dli_fname, resolved) != nullptr ? resolved : information.dli_fname;
}

const OrtApi* newest_api(const OrtApiBase& base, std::string_view version_text) noexcept {
  for (const uint32_t version : kOrtApiVersions) {
    // An older library says on stderr that it does not know a newer one: it is asked for what its version has.
    if (!has_minor(version_text, version)) continue;
    if (const OrtApi* api = base.GetApi(version); api != nullptr) return api;
  }
  return nullptr;
}

// `path`: a file, or a bare name for the system's search. On success the process is bound to this library.
Status load(Loaded& self, const std::string& path) {
  if (path.find('/') != std::string::npos) {
    if (const std::string problem = shared_library_problem(path); !problem.empty()) {
      return Status::error(Code::kEngineNotFound,
                           "The ONNX Runtime library " + path + " " + problem + ". " + install_advice());
    }
  }
  dlerror();
  // Kept for ever: its threads outlive whoever loaded it.
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return Status::error(Code::kEngineNotFound, "The ONNX Runtime library " + path + " cannot be loaded: " +
                                                    one_line(reason == nullptr ? "unknown reason" : reason) + ". " +
                                                    install_advice());
  }
  void* symbol = dlsym(handle, "OrtGetApiBase");
  if (symbol == nullptr) {
    return Status::error(Code::kEngineNotFound,
                         "The library " + path + " is not ONNX Runtime (it has no OrtGetApiBase). " + install_advice());
  }
  const std::string resolved = path_of(symbol, path);
  const OrtApiBase* base = reinterpret_cast<OrtGetApiBaseFunction>(symbol)();
  const char* reported = base == nullptr ? nullptr : base->GetVersionString();
  const std::string version = reported == nullptr ? "" : reported;
  if (Status status = check_ort_version(version, resolved); !status.is_ok()) return status;
  const OrtApi* api = newest_api(*base, version);
  if (api == nullptr) {
    return Status::error(Code::kEngineVersion, "ONNX Runtime " + version + " at " + resolved +
                                                   " has no C API of version " + std::to_string(kOldestOrtApi) + ". " +
                                                   install_advice());
  }

  // Release pairs with the acquire in ort(): whoever sees the table sees it whole.
  self.api.store(api, std::memory_order_release);
  Status status = start_ort_environment();
  if (status.is_ok()) {
    if (const std::string problem = self_test(); !problem.empty()) {
      status = Status::error(Code::kEngineVersion, "ONNX Runtime " + version + " at " + resolved +
                                                       " failed a test run of a tiny model: " + problem + ". " +
                                                       install_advice());
    }
  }
  if (!status.is_ok()) return status;
  self.library = {resolved, version};
  return Status::ok();
}

bool same_file(const std::string& left, const std::string& right) noexcept {
  struct stat one {};
  struct stat two {};
  return stat(left.c_str(), &one) == 0 && stat(right.c_str(), &two) == 0 && one.st_dev == two.st_dev &&
         one.st_ino == two.st_ino;
}

Status search(Loaded& self, const std::string& explicit_path, const std::string& suggested) {
  if (!explicit_path.empty()) return load(self, explicit_path);
  const char* variable = std::getenv(kOrtLibraryVariable);
  const bool variable_set = variable != nullptr && *variable != '\0';
  if (variable_set) {
    Status status = load(self, variable);
    if (!status.is_ok()) status.message += std::string(" (named by ") + kOrtLibraryVariable + ")";
    return status;
  }
  if (!suggested.empty()) return load(self, suggested);
  if (!self.hint.empty() && exists(self.hint)) return load(self, self.hint);

  Status system = load(self, kSystemName);
  if (system.is_ok() || system.code == Code::kEngineVersion) return system;
  const std::string package_place =
      self.hint.empty() ? std::string("no package ") + kPackage + " is installed" : self.hint + " does not exist";
  return Status::error(Code::kEngineNotFound,
                       "ONNX Runtime was not found. Looked in: the option engineLibrary (not given), the environment "
                       "variable " +
                           std::string(kOrtLibraryVariable) + " (not set), the npm package (" + package_place +
                           "), the system (" + kSystemName + " cannot be loaded). " + install_advice());
}

}  // namespace

const OrtApi& ort() noexcept { return *loaded().api.load(std::memory_order_acquire); }

void set_ort_library_hint(std::string path) {
  Loaded& self = loaded();
  const std::lock_guard lock(self.mutex);
  self.hint = std::move(path);
}

Status load_ort_library(const std::string& explicit_path, const std::string& suggested) {
  Loaded& self = loaded();
  const std::lock_guard lock(self.mutex);
  if (self.library.path.empty()) return search(self, explicit_path, suggested);
  if (!explicit_path.empty() && !same_file(explicit_path, self.library.path)) {
    return Status::error(Code::kConfigInvalid, "The option engineLibrary names " + explicit_path +
                                                   ", but this process already uses ONNX Runtime " +
                                                   self.library.version + " from " + self.library.path +
                                                   "; one process uses one library.");
  }
  return Status::ok();
}

OrtLibrary loaded_ort_library() {
  Loaded& self = loaded();
  const std::lock_guard lock(self.mutex);
  return self.library;
}

Status check_ort_version(const std::string& version, const std::string& path) {
  if (has_minor(version, kOrtMinimumMinor)) return Status::ok();
  return Status::error(Code::kEngineVersion, "The library " + path + " is ONNX Runtime " +
                                                 (version.empty() ? "of an unknown version" : version) +
                                                 "; subten needs 1." + std::to_string(kOrtMinimumMinor) +
                                                 " or a newer 1.x. " + install_advice());
}

}  // namespace subten
