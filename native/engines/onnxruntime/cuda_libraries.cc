#include "engines/onnxruntime/cuda_libraries.h"

#include <dlfcn.h>
#include <glob.h>
#include <sys/stat.h>

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "engines/common/elf_file.h"

namespace subten {
namespace {

struct Provider {
  const char* file;
  const char* name;     // in messages
  const char* install;  // how its libraries are had
};
constexpr Provider kCuda = {"libonnxruntime_providers_cuda.so", "CUDA",
                            "Run `npx subten gpu install`, or install them (the PyPI packages of "
                            "onnxruntime-gpu[cuda,cudnn] have them all) and name their folder, or "
                            "site-packages/nvidia, in libraryPath or in "};
constexpr Provider kTensorrt = {
    "libonnxruntime_providers_tensorrt.so", "TensorRT",
    "CUDA's come with `npx subten gpu install`; install the TensorRT that the names tell and "
    "name its folder in SUBTEN_TENSORRT_LIB, in libraryPath or in "};
constexpr const char* kTensorrtVariable = "SUBTEN_TENSORRT_LIB";
constexpr std::string_view kRuntime = "libcudart.so.";
// What the provider and its libraries open by name while they work. Without them some operators fail.
constexpr const char* kOpenedLater[] = {"libcudnn.so.9", "libcufft.so.12", "libcufft.so.11"};

bool exists(const std::string& path) noexcept {
  struct stat information {};
  return stat(path.c_str(), &information) == 0;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(':', start), list.size());
    if (end > start) parts.push_back(list.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

// Each folder and, for a folder of Python packages, their folders of libraries.
std::vector<std::string> search_folders(const std::string& directories) {
  const char* variable = std::getenv(kCudaLibraryVariable);
  std::vector<std::string> folders;
  for (const std::string& named : split(directories + ":" + (variable == nullptr ? "" : variable))) {
    folders.push_back(named);
    glob_t found{};
    if (glob((named + "/*/lib").c_str(), GLOB_ONLYDIR, nullptr, &found) == 0) {
      for (size_t i = 0; i < found.gl_pathc; ++i) folders.emplace_back(found.gl_pathv[i]);
    }
    globfree(&found);
  }
  return folders;
}

// Kept for ever, like the provider.
bool open_library(const std::string& path) noexcept {
  return dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) != nullptr;
}

bool find_library(const std::string& name, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    std::string path = folder;
    path += '/';
    path += name;
    if (exists(path) && open_library(path)) return true;
  }
  return open_library(name);
}

// Of "libcudart.so.13": 13; 0 where it is none.
int runtime_major(std::string_view name) noexcept {
  int major = 0;
  if (name.starts_with(kRuntime)) std::from_chars(name.data() + kRuntime.size(), name.data() + name.size(), major);
  return major;
}

bool is_cuda(std::string_view name) noexcept {
  return name != "libcuda.so.1" && (name.starts_with("libcu") || name.starts_with("libnv"));
}

// `folders` are looked at before the system.
Status load_provider(const Provider& which, const std::string& ort_library, const std::vector<std::string>& folders,
                     int driver_version) {
  const std::string provider = ort_library.substr(0, ort_library.rfind('/') + 1) + which.file;
  if (!exists(provider)) {
    return Status::error(Code::kNotSupported,
                         "ONNX Runtime at " + ort_library + " has no " + which.name +
                             " execution provider (there is no " + provider +
                             "). Load one that was built for GPUs before every other model, as a process has one ONNX "
                             "Runtime (`npx subten gpu install`, or PyPI onnxruntime-gpu by engineLibrary or "
                             "SUBTEN_ONNXRUNTIME_LIB, with its provider libraries beside it), or compute on the CPU.");
  }
  const std::vector<std::string> needed = needed_libraries(provider);
  for (const std::string& name : needed) {
    const int major = runtime_major(name);
    if (major > 0 && driver_version / 1000 < major) {
      return Status::error(Code::kNotSupported, "The CUDA driver is made for CUDA " +
                                                    std::to_string(driver_version / 1000) + "." +
                                                    std::to_string(driver_version % 1000 / 10) + ", and " + provider +
                                                    " needs CUDA " + std::to_string(major) +
                                                    ". Update the driver, or load an ONNX Runtime for an older CUDA.");
    }
  }
  std::string missing;
  // The runtime first, then cuBLASLt before cuBLAS: each then finds what it needs in memory. Two rounds do for that.
  for (int round = 0; round < 2; ++round) {
    missing.clear();
    for (const std::string& name : needed) {
      if (is_cuda(name) && !find_library(name, folders)) missing += (missing.empty() ? "" : ", ") + name;
    }
    if (missing.empty()) break;
  }
  if (!missing.empty()) {
    return Status::error(Code::kEngineNotFound, std::string("The ") + which.name + " execution provider needs " +
                                                    missing + ", which the loader does not find. " + which.install +
                                                    kCudaLibraryVariable + ".");
  }
  for (const char* name : kOpenedLater) find_library(name, folders);
  return Status::ok();
}

}  // namespace

Status load_cuda_libraries(const std::string& ort_library, const std::string& directories, int driver_version) {
  return load_provider(kCuda, ort_library, search_folders(directories), driver_version);
}

Status load_tensorrt_libraries(const std::string& ort_library, const std::string& directories, int driver_version) {
  std::vector<std::string> folders = search_folders(directories);
  if (const char* named = std::getenv(kTensorrtVariable); named != nullptr && *named != '\0') {
    const std::string place = named;
    const bool file = place.find(".so", place.rfind('/') + 1) != std::string::npos;
    folders.insert(folders.begin(), file ? place.substr(0, place.rfind('/')) : place);
  }
  return load_provider(kTensorrt, ort_library, folders, driver_version);
}

}  // namespace subten
