#include "engines/tensorrt/library.h"

#include <dlfcn.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <new>
#include <vector>

#include "engines/tensorrt/tensorrt_engine.h"

namespace subten {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVariable = "SUBTEN_TENSORRT_LIB";
// Names a shared object of ours elsewhere than beside the addon: tests have one of their own.
constexpr const char* kPluginVariable = "SUBTEN_TENSORRT_PLUGIN";
constexpr const char* kWhole[] = {"libnvinfer.so.11", "libnvinfer.so.10"};
constexpr const char* kRtxName = "libtensorrt_rtx.so.1";
constexpr const char* kRuntimes[] = {"libnvinfer_lean.so.11", "libnvinfer_lean.so.10", "libnvinfer_dispatch.so.11",
                                     "libnvinfer_dispatch.so.10"};
// The oldest TensorRT 10 whose objects have all that is called.
constexpr int32_t kOldestMinorOf10 = 6;

// Process-wide and never destroyed, like TensorRT.
struct Loaded {
  std::mutex mutex;
  TensorrtLibrary library;
};

Loaded& loaded() noexcept {
  alignas(Loaded) static std::byte storage[sizeof(Loaded)];
  static Loaded* const instance = new (storage) Loaded;
  return *instance;
}

void* open_library(const std::string& name, std::string* reason) {
  dlerror();
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle != nullptr) return handle;
  const char* text = dlerror();
  const std::string said = text == nullptr ? name : text;
  // That a name is nowhere on the loader's path says no more than that it was looked for there.
  if (name.find('/') == std::string::npos && said.rfind(name + ": cannot open shared object file", 0) == 0)
    return nullptr;
  *reason += (reason->empty() ? "" : "; ") + said;
  return nullptr;
}

// The file that a symbol comes from.
std::string file_of(const void* symbol) {
  Dl_info info{};
  return dladdr(symbol, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

std::vector<std::string> names_for(TensorrtUse use) {
  std::vector<std::string> names;
  if (use != TensorrtUse::kRtx) names.insert(names.end(), std::begin(kWhole), std::end(kWhole));
  if (use != TensorrtUse::kPlan) names.emplace_back(kRtxName);
  if (use == TensorrtUse::kAny || use == TensorrtUse::kPlan) {
    names.insert(names.end(), std::begin(kRuntimes), std::end(kRuntimes));
  }
  return names;
}

std::vector<std::string> candidates(const std::string& place, TensorrtUse use) {
  std::error_code ignored;
  if (!fs::is_directory(place, ignored)) return {place};
  std::vector<std::string> files;
  for (const std::string& name : names_for(use)) {
    if (const fs::path file = fs::path(place) / name; fs::exists(file, ignored)) files.push_back(file.string());
  }
  return files;
}

struct Place {
  std::string where;  // for the error
  std::vector<std::string> files;
};

std::vector<Place> places(const TensorrtSearch& search) {
  if (!search.path.empty()) return {{"engineLibrary " + search.path, candidates(search.path, search.use)}};
  const char* named = std::getenv(kVariable);
  if (named != nullptr && *named != '\0') {
    return {{std::string(kVariable) + "=" + named, candidates(named, search.use)}};
  }
  std::vector<Place> found{{"the loader's path", names_for(search.use)}};
  for (const std::string& folder : search.installed) found.push_back({folder, candidates(folder, search.use)});
  return found;
}

struct Version {
  int32_t major = 0;
  int32_t minor = 0;
  int32_t patch = 0;
  bool rtx = false;

  std::string text() const {
    return (rtx ? "RTX " : "") + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }
};

// By the functions of all libraries since TensorRT 10.
bool version_of(void* handle, const std::string& file, Version* out) {
  const auto whole = reinterpret_cast<int32_t (*)()>(dlsym(handle, "getInferLibVersion"));
  if (whole == nullptr) return false;
  const int32_t number = whole();
  *out = {number / 10000, number / 100 % 100, number % 100,
          fs::path(file).filename().string().find("tensorrt_rtx") != std::string::npos};
  return true;
}

const char* flavour_of(const Version& version) noexcept {
  if (version.rtx) return version.major == 1 ? "rtx" : nullptr;
  if (version.major == 10 && version.minor >= kOldestMinorOf10) return "10";
  return version.major == 11 ? "11" : nullptr;
}

std::string& plugin_folder() noexcept {
  alignas(std::string) static std::byte storage[sizeof(std::string)];
  static std::string* const instance = new (storage) std::string;
  return *instance;
}

std::string plugin_file(const char* flavour) {
  const char* named = std::getenv(kPluginVariable);
  if (named != nullptr && *named != '\0') return named;
  const std::string name = std::string("subten_tensorrt_") + flavour + ".so";
  const fs::path own = file_of(reinterpret_cast<const void*>(&load_tensorrt));
  const fs::path beside = own.parent_path() / name;
  std::error_code ignored;
  if (plugin_folder().empty() || fs::exists(beside, ignored)) return beside.string();
  return (fs::path(plugin_folder()) / name).string();
}

// The parser of the same TensorRT, from the same folder; null where there is none.
void* open_parser(const Version& version, const std::string& file) {
  const std::string name =
      version.rtx ? "libtensorrt_onnxparser_rtx.so.1" : "libnvonnxparser.so." + std::to_string(version.major);
  std::string ignored;
  void* handle = open_library((fs::path(file).parent_path() / name).string(), &ignored);
  return handle != nullptr ? handle : open_library(name, &ignored);
}

Status load_plugin(const Version& version, const std::string& file, const TensorrtPlugin** out) {
  const char* flavour = flavour_of(version);
  if (flavour == nullptr) {
    return Status::error(Code::kEngineVersion, file + " is TensorRT " + version.text() +
                                                   "; subten works with 10.6 and newer of 10, 11, and RTX 1.7.");
  }
  const std::string plugin = plugin_file(flavour);
  std::string reason;
  void* handle = open_library(plugin, &reason);
  if (handle == nullptr) {
    return Status::error(Code::kEngineNotFound,
                         "The part of subten that drives TensorRT " + version.text() + " is not there (" + reason +
                             "). `npm install @subten/tensorrt-linux-x64` brings it; in a checkout "
                             "`npm run build:tensorrt` makes it.");
  }
  const auto get = reinterpret_cast<GetTensorrtPlugin>(dlsym(handle, kTensorrtPluginSymbol));
  const TensorrtPlugin* found = get == nullptr ? nullptr : get();
  if (found == nullptr || found->abi != kTensorrtAbi) {
    return Status::error(Code::kEngineVersion, plugin + " belongs to another version of subten: build it again.");
  }
  // TensorRT for RTX changes its objects between minor versions, TensorRT between major ones only.
  if (found->major != version.major || (found->is_rtx != 0) != version.rtx ||
      (version.rtx && found->minor != version.minor)) {
    const std::string made =
        (found->is_rtx != 0 ? "RTX " : "") + std::to_string(found->major) + "." + std::to_string(found->minor);
    return Status::error(Code::kEngineVersion, file + " is TensorRT " + version.text() + ", and " + plugin +
                                                   " is made for " + made + ": use that version.");
  }
  *out = found;
  return Status::ok();
}

Status use_library(void* handle, const std::string& name, TensorrtLibrary* out) {
  const void* symbol = dlsym(handle, "getInferLibVersion");
  const std::string file = symbol == nullptr ? name : file_of(symbol);
  Version version;
  if (!version_of(handle, file, &version)) {
    return Status::error(Code::kEngineVersion, file + " is no library of TensorRT: it has no getInferLibVersion.");
  }
  TensorrtLibrary found{nullptr, file, version.text(), version.rtx};
  if (Status status = load_plugin(version, file, &found.plugin); !status.is_ok()) return status;
  std::string sentence;
  const int32_t code = found.plugin->use(handle, open_parser(version, file), sink_of(&sentence));
  if (code != 0) return tensorrt_status(code, file + ": " + sentence);
  *out = std::move(found);
  return Status::ok();
}

std::string not_found(const std::vector<Place>& looked, TensorrtUse use, const std::string& reason) {
  const bool rtx = use == TensorrtUse::kRtx;
  std::string text = rtx ? "TensorRT for RTX was not found. Looked at " : "TensorRT was not found. Looked at ";
  for (size_t i = 0; i < looked.size(); ++i) text += (i > 0 ? ", " : "") + looked[i].where;
  text += reason.empty() ? std::string() : " (" + reason + ")";
  const std::string named = ", or name its library or folder in engineLibrary or SUBTEN_TENSORRT_LIB.";
  if (rtx) return text + ". `npx subten gpu install --engine rtx` fetches it" + named;
  return text + ". Install TensorRT 10.6 or newer (libnvinfer.so.10 or .11)" +
         (use == TensorrtUse::kBuild ? "; `npx subten gpu install --engine rtx` fetches TensorRT for RTX" : "") + named;
}

// Whether the library of this process does for a search.
bool same_library(const TensorrtLibrary& library, const TensorrtSearch& search) {
  if (search.use == TensorrtUse::kPlan && library.rtx) return false;
  if (search.use == TensorrtUse::kRtx && !library.rtx) return false;
  if (search.path.empty()) return true;
  std::error_code ignored;
  for (const std::string& file : candidates(search.path, search.use)) {
    if (fs::equivalent(file, library.path, ignored)) return true;
  }
  return false;
}

}  // namespace

Status load_tensorrt(const TensorrtSearch& search, const TensorrtLibrary** out) {
  Loaded& self = loaded();
  const std::lock_guard lock(self.mutex);
  if (self.library.plugin != nullptr) {
    if (!same_library(self.library, search)) {
      return Status::error(Code::kEngineVersion, "This process already uses TensorRT " + self.library.version +
                                                     " from " + self.library.path +
                                                     "; a process has one. Use it, or another process.");
    }
    *out = &self.library;
    return Status::ok();
  }
  const std::vector<Place> looked = places(search);
  std::string reason;
  for (const Place& place : looked) {
    for (const std::string& file : place.files) {
      void* handle = open_library(file, &reason);
      if (handle == nullptr) continue;
      if (Status status = use_library(handle, file, &self.library); !status.is_ok()) return status;
      *out = &self.library;
      return Status::ok();
    }
  }
  return Status::error(Code::kEngineNotFound, not_found(looked, search.use, reason));
}

void set_tensorrt_folder(const std::string& folder) {
  const std::lock_guard lock(loaded().mutex);
  plugin_folder() = folder;
}

const TensorrtLibrary& loaded_tensorrt() noexcept { return loaded().library; }

TensorrtSink sink_of(std::string* text) noexcept {
  return {text, [](void* context, const void* data, uint64_t bytes) noexcept {
            try {
              static_cast<std::string*>(context)->append(static_cast<const char*>(data), bytes);
            } catch (...) {
              // The text is cut short; what is made of it fails its own check.
            }
          }};
}

Status tensorrt_status(int32_t code, std::string sentence) {
  if (code == 0) return Status::ok();
  const bool known = code > 0 && code <= static_cast<int32_t>(Code::kUnsupportedPlatform);
  return Status::error(known ? static_cast<Code>(code) : Code::kEngineFailed, std::move(sentence));
}

}  // namespace subten
