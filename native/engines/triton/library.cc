#include "engines/triton/library.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "engines/common/elf_file.h"

namespace subten {
namespace {

constexpr uint32_t kMajor = 1;
// ServerLoadModelWithParameters and what models are loaded with; Triton 22.05.
constexpr uint32_t kOldestMinor = 12;
// A chain of libraries that need each other is not longer; a loop of errors would be.
constexpr int kMostPreloads = 128;

// Process-wide and never destroyed, like the library.
struct Loaded {
  std::mutex mutex;
  TritonLibrary library;
  bool shared = false;  // see share_triton_symbols()
  TritonApi api;
  std::atomic<const TritonApi*> ready{nullptr};
};

Loaded& loaded() noexcept {
  alignas(Loaded) static std::byte storage[sizeof(Loaded)];
  static Loaded* const instance = new (storage) Loaded;
  return *instance;
}

const char* advice() {
  return "Install Triton with `npm run triton:install`, or set TRITON_SERVER_LIB to its library.";
}

std::string real_path(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// "libfoo.so.1: cannot open shared object file: …" → "libfoo.so.1"; empty for any other complaint.
std::string missing_library(std::string_view complaint) {
  const size_t colon = complaint.find(": cannot open shared object file");
  return colon == std::string_view::npos ? std::string() : std::string(complaint.substr(0, colon));
}

// Flags for a library that Triton's needs. Node exports the functions of its own OpenSSL and zlib, and a symbol is
// looked for in the program first: without "deep" a libcurl would call Node's OpenSSL with its own libssl's data. Not
// for C++: Node has copies of std::cout and its kin, and a deep-bound library would write to streams that were never
// constructed. Sanitizers forbid it.
int needed_flags(const std::string& path) {
  constexpr int kFlags = RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  (void)path;
  return kFlags;
#else
  const std::vector<std::string> needed = needed_libraries(path);
  const bool has_cxx =
      std::any_of(needed.begin(), needed.end(), [](const std::string& name) { return name.starts_with("libstdc++"); });
  return has_cxx ? kFlags : kFlags | RTLD_DEEPBIND;
#endif
}

// Opens `path`. The loader looks for what a library needs in its own places only; each thing it misses is opened from
// `folder` beforehand, under whose name the loader then knows it.
void* open_with_needed(const std::string& path, const std::string& folder, int flags, int* budget,
                       std::string* complaint) {
  for (;;) {
    dlerror();
    void* handle = dlopen(path.c_str(), flags);
    if (handle != nullptr) return handle;
    const char* text = dlerror();
    *complaint = text != nullptr ? text : "unknown error";
    const std::string missing = missing_library(*complaint);
    if (missing.empty() || missing.find('/') != std::string::npos || --*budget < 0) return nullptr;
    std::string ignored;
    const std::string beside = (std::filesystem::path(folder) / missing).string();
    if (open_with_needed(beside, folder, needed_flags(beside), budget, &ignored) == nullptr) {
      return nullptr;  // the complaint names what is missing
    }
  }
}

template <typename Function>
bool find(void* handle, const char* name, Function* function) noexcept {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  return *function != nullptr;
}

Status bind(void* handle, const std::string& path, TritonApi* api, uint32_t* minor) {
  if (!find(handle, "TRITONSERVER_ApiVersion", &api->ApiVersion)) {
    return Status::error(Code::kEngineVersion,
                         path + " is not a Triton server library: it lacks TRITONSERVER_ApiVersion. " + advice());
  }
  uint32_t major = 0;
  api->ApiVersion(&major, minor);
  if (major != kMajor || *minor < kOldestMinor) {
    return Status::error(Code::kEngineVersion,
                         "the Triton library " + path + " has API version " + std::to_string(major) + "." +
                             std::to_string(*minor) + "; subten needs 1." + std::to_string(kOldestMinor) +
                             " or a newer one of major version 1 (Triton 22.05 or newer). " + advice());
  }
  const char* lacking = nullptr;
#define SUBTEN_TRITON_FIND(name) \
  if (!find(handle, "TRITONSERVER_" #name, &api->name)) lacking = "TRITONSERVER_" #name;
#define SUBTEN_TRITON_FIND_OPTIONAL(name, since) \
  if (*minor >= (since)) find(handle, "TRITONSERVER_" #name, &api->name);
  SUBTEN_TRITON_SYMBOLS(SUBTEN_TRITON_FIND)
  SUBTEN_TRITON_OPTIONAL_SYMBOLS(SUBTEN_TRITON_FIND_OPTIONAL)
#undef SUBTEN_TRITON_FIND
#undef SUBTEN_TRITON_FIND_OPTIONAL
  if (lacking != nullptr) {
    return Status::error(Code::kEngineVersion, "the Triton library " + path + " says that its API is 1." +
                                                   std::to_string(*minor) + ", but lacks " + lacking + ". " + advice());
  }
  return Status::ok();
}

}  // namespace

const TritonApi& triton() noexcept { return *loaded().ready.load(std::memory_order_acquire); }

TritonLibrary triton_library() {
  Loaded& self = loaded();
  std::lock_guard lock(self.mutex);
  return self.library;
}

Status load_triton(const std::string& path) {
  Loaded& self = loaded();
  std::lock_guard lock(self.mutex);
  if (path.empty()) {
    if (!self.library.path.empty()) return Status::ok();
    return Status::error(Code::kEngineNotFound, std::string("no library of the Triton server was found. ") + advice());
  }
  const std::string real = real_path(path);
  if (!self.library.path.empty()) {
    if (self.library.path == real) return Status::ok();
    return Status::error(Code::kEngineVersion, "this process has loaded the Triton library " + self.library.path +
                                                   " already and cannot load " + path +
                                                   " beside it: use one of them, or another process");
  }
  struct stat information {};
  if (stat(real.c_str(), &information) != 0) {
    return Status::error(Code::kEngineNotFound, "there is no Triton library at " + path + ". " + advice());
  }
  if (const std::string problem = shared_library_problem(real); !problem.empty()) {
    return Status::error(Code::kEngineNotFound, "the Triton library " + path + " " + problem + ". " + advice());
  }
  int budget = kMostPreloads;
  std::string complaint;
  // Kept for ever: its threads outlive whoever loaded it.
  void* handle = open_with_needed(real, folder_of(real), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE, &budget, &complaint);
  if (handle == nullptr) {
    return Status::error(Code::kEngineNotFound,
                         "the Triton library " + path + " cannot be loaded: " + complaint + ". " + advice());
  }
  uint32_t minor = 0;
  Status status = bind(handle, real, &self.api, &minor);
  if (!status.is_ok()) return status;
  self.library = {real, "1." + std::to_string(minor), minor};
  self.ready.store(&self.api, std::memory_order_release);
  return Status::ok();
}

bool share_triton_symbols() noexcept {
  Loaded& self = loaded();
  std::lock_guard lock(self.mutex);
  if (std::exchange(self.shared, true)) return false;
  return dlopen(self.library.path.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL) != nullptr;
}

void preload_for_backends(const std::string& directory) {
  const std::string folder = folder_of(triton_library().path);
  std::error_code none;
  for (const auto& backend : std::filesystem::directory_iterator(directory, none)) {
    std::string library = "libtriton_";
    library.append(backend.path().filename().string()).append(".so");
    for (const std::string& needed : needed_libraries((backend.path() / library).string())) {
      const std::string path = (std::filesystem::path(folder) / needed).string();
      if (!std::filesystem::exists(path, none)) continue;
      int budget = kMostPreloads;
      std::string ignored;  // Triton says it when it loads the backend
      open_with_needed(path, folder, needed_flags(path), &budget, &ignored);
    }
  }
}

Status request_status(TRITONSERVER_Error* error) noexcept {
  const char* message = triton().ErrorMessage(error);
  const std::string_view text = message != nullptr ? message : "";
  Code code = Code::kEngineFailed;
  switch (triton().ErrorCode(error)) {
    case TRITONSERVER_ERROR_INVALID_ARG:
      code = Code::kInvalidInput;
      break;
    case TRITONSERVER_ERROR_NOT_FOUND:
      code = Code::kModelNotFound;
      break;
    case TRITONSERVER_ERROR_UNSUPPORTED:
      code = Code::kNotSupported;
      break;
    case TRITONSERVER_ERROR_UNAVAILABLE:
      // Triton says by the words alone whether its queue is full, a timeout has passed or the model is gone.
      if (text.find("queue size") != std::string_view::npos) {
        code = Code::kQueueFull;
      } else if (text.find("timeout") != std::string_view::npos || text.find("Timeout") != std::string_view::npos) {
        code = Code::kDeadlineExceeded;
      } else {
        code = Code::kModelClosed;
      }
      break;
    default:
      break;
  }
  return Status::quiet(code, message != nullptr ? message : "Triton gave no reason");
}

}  // namespace subten
