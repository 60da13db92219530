#include "engines/triton/server_options.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <vector>

#include "engines/common/json.h"
#include "engines/triton/log_pipe.h"

namespace subten {
namespace {

struct Default {
  std::string_view name;
  std::string_view value;
};

constexpr std::array<Default, 12> kServerSettings = {{
    {"control", "explicit"},
    {"backend_directory", ""},
    {"log_level", "error"},
    {"rate_limiter", "off"},
    {"cache", ""},
    {"cache_directory", ""},
    {"model_load_threads", ""},
    {"strict_config", "false"},
    {"exit_timeout_s", "5"},
    {"python", ""},
    {"backend_config", ""},
    {"metrics", "true"},
}};

struct DeleteOptions {
  void operator()(TRITONSERVER_ServerOptions* options) const noexcept {
    TritonError ignored = triton().ServerOptionsDelete(options);
  }
};

bool exists(const std::string& path) noexcept {
  struct stat information {};
  return stat(path.c_str(), &information) == 0;
}

Status refuse(std::string_view setting, std::string_view needs, std::string_view value) {
  return Status::error(Code::kConfigInvalid, "triton: " + std::string(setting) + " must be " + std::string(needs) +
                                                 ", not '" + std::string(value) + "'");
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

// "name,key=value": false when it does not look like that.
bool split(std::string_view line, std::string* name, std::string* key, std::string* value) {
  const size_t comma = line.find(',');
  const size_t equals = line.find('=', comma == std::string_view::npos ? 0 : comma);
  if (comma == std::string_view::npos || equals == std::string_view::npos || equals < comma) return false;
  *name = line.substr(0, comma);
  *key = line.substr(comma + 1, equals - comma - 1);
  *value = line.substr(equals + 1);
  return !key->empty();
}

bool whole(std::string_view text, unsigned int most, unsigned int* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value <= most;
}

// Sets options one after another; the first failure stays.
class Builder {
 public:
  Builder(const std::map<std::string, std::string>& settings, const std::string& folder,
          TRITONSERVER_ServerOptions* options)
      : settings_(settings), folder_(folder), options_(options) {}

  Status build(const std::string& repository) {
    check(triton().ServerOptionsSetServerId(options_, "subten"));
    check(triton().ServerOptionsSetModelRepositoryPath(options_, repository.c_str()));
    check(triton().ServerOptionsSetExitOnError(options_, false));
    check(triton().ServerOptionsSetStrictReadiness(options_, false));
    // The library's own default is not a number one can rely on: seen to try for ever.
    if (triton().ServerOptionsSetModelLoadRetryCount != nullptr) {
      check(triton().ServerOptionsSetModelLoadRetryCount(options_, 0));
    }
    control();
    log();
    directories();
    rest();
    metrics();
    cache();
    backend_config();
    return std::move(status_);
  }

 private:
  std::string get(std::string_view name) const {
    const auto found = settings_.find(std::string(name));
    return found != settings_.end() ? found->second : std::string(default_server_setting(name));
  }
  void check(TRITONSERVER_Error* error) {
    TritonError held(error);
    if (held && status_.is_ok()) {
      status_ = Status::error(Code::kConfigInvalid, std::string("Triton refuses an option: ") + held.message());
    }
  }
  void fail(Status status) {
    if (status_.is_ok()) status_ = std::move(status);
  }
  bool yes(std::string_view name) {
    const std::string value = get(name);
    if (value != "true" && value != "false") fail(refuse(name, "true or false", value));
    return value == "true";
  }

  void control() {
    const std::string value = get("control");
    auto mode = TRITONSERVER_MODEL_CONTROL_EXPLICIT;
    if (value == "none") {
      mode = TRITONSERVER_MODEL_CONTROL_NONE;
    } else if (value == "poll") {
      mode = TRITONSERVER_MODEL_CONTROL_POLL;
    } else if (value != "explicit") {
      fail(refuse("control", "explicit, none or poll", value));
    }
    check(triton().ServerOptionsSetModelControlMode(options_, mode));
  }

  void log() {
    const std::string value = get("log_level");
    constexpr std::array<std::string_view, 5> kLevels = {"none", "error", "warning", "info", "verbose"};
    const auto level = std::find(kLevels.begin(), kLevels.end(), value) - kLevels.begin();
    if (static_cast<size_t>(level) == kLevels.size()) {
      fail(refuse("log_level", "none, error, warning, info or verbose", value));
    }
    const std::string file = triton_log_path();
    if (!file.empty() && triton().ServerOptionsSetLogFile != nullptr) {
      check(triton().ServerOptionsSetLogFile(options_, file.c_str()));
    }
    check(triton().ServerOptionsSetLogError(options_, level >= 1));
    check(triton().ServerOptionsSetLogWarn(options_, level >= 2));
    check(triton().ServerOptionsSetLogInfo(options_, level >= 3));
    check(triton().ServerOptionsSetLogVerbose(options_, level >= 4 ? 1 : 0));
  }

  void directories() {
    std::string backends = get("backend_directory");
    if (backends.empty() && exists(folder_ + "/../backends")) backends = folder_ + "/../backends";
    if (!backends.empty()) {
      check(triton().ServerOptionsSetBackendDirectory(options_, backends.c_str()));
      preload_for_backends(backends);
    }
    std::string caches = get("cache_directory");
    if (caches.empty() && exists(folder_ + "/../caches")) caches = folder_ + "/../caches";
    if (!caches.empty() && triton().ServerOptionsSetCacheDirectory != nullptr) {
      check(triton().ServerOptionsSetCacheDirectory(options_, caches.c_str()));
    }
  }

  void rest() {
    check(triton().ServerOptionsSetStrictModelConfig(options_, yes("strict_config")));
    const std::string limiter = get("rate_limiter");
    if (limiter != "off" && limiter != "execution_count") {
      fail(refuse("rate_limiter", "off or execution_count", limiter));
    }
    check(triton().ServerOptionsSetRateLimiterMode(
        options_, limiter == "off" ? TRITONSERVER_RATE_LIMIT_OFF : TRITONSERVER_RATE_LIMIT_EXEC_COUNT));
    unsigned int number = 0;
    if (!whole(get("exit_timeout_s"), 3600, &number)) {
      fail(refuse("exit_timeout_s", "a whole number of seconds, at most 3600", get("exit_timeout_s")));
    }
    check(triton().ServerOptionsSetExitTimeout(options_, number));
    if (const std::string threads = get("model_load_threads"); !threads.empty()) {
      if (!whole(threads, 1024, &number) || number == 0) fail(refuse("model_load_threads", "from 1 to 1024", threads));
      if (triton().ServerOptionsSetModelLoadThreadCount != nullptr) {
        check(triton().ServerOptionsSetModelLoadThreadCount(options_, number));
      }
    }
  }

  void metrics() {
    const bool wanted = yes("metrics");
    check(triton().ServerOptionsSetMetrics(options_, wanted));
    // Without a device Triton's search for one costs time at each start and complains in the log.
    check(triton().ServerOptionsSetGpuMetrics(options_, wanted && exists("/dev/nvidiactl")));
    if (triton().ServerOptionsSetCpuMetrics != nullptr) check(triton().ServerOptionsSetCpuMetrics(options_, false));
  }

  // "local,size=1048576" for each setting; those of one cache become one JSON object.
  void cache() {
    std::map<std::string, std::string> caches;
    for (const std::string_view line : lines(get("cache"))) {
      std::string name;
      std::string key;
      std::string value;
      if (!split(line, &name, &key, &value) || name.empty())
        return fail(refuse("cache", "lines of NAME,KEY=VALUE", line));
      std::string& members = caches[name];
      members += (members.empty() ? "" : ",") + write_json(Json::string(key)) + ":" + write_json(Json::string(value));
    }
    for (const auto& [name, members] : caches) {
      if (triton().ServerOptionsSetCacheConfig == nullptr) {
        return fail(Status::error(Code::kEngineVersion, "this Triton library knows no caches: it is too old"));
      }
      check(triton().ServerOptionsSetCacheConfig(options_, name.c_str(), ("{" + members + "}").c_str()));
    }
  }

  void backend_config() {
    for (const std::string_view line : lines(get("backend_config"))) {
      std::string name;
      std::string key;
      std::string value;
      if (!split(line, &name, &key, &value)) return fail(refuse("backend_config", "lines of BACKEND,KEY=VALUE", line));
      check(triton().ServerOptionsSetBackendConfig(options_, name.c_str(), key.c_str(), value.c_str()));
    }
  }

  const std::map<std::string, std::string>& settings_;
  const std::string& folder_;
  TRITONSERVER_ServerOptions* options_;
  Status status_;
};

}  // namespace

bool is_server_setting(std::string_view name) noexcept {
  return std::any_of(kServerSettings.begin(), kServerSettings.end(),
                     [&](const Default& each) { return each.name == name; });
}

std::string_view default_server_setting(std::string_view name) noexcept {
  for (const Default& each : kServerSettings) {
    if (each.name == name) return each.value;
  }
  return {};
}

Status make_server_options(const std::map<std::string, std::string>& settings, const std::string& folder,
                           const std::string& repository, TRITONSERVER_ServerOptions** out) {
  TRITONSERVER_ServerOptions* raw = nullptr;
  if (TritonError error = triton().ServerOptionsNew(&raw)) {
    return Status::error(Code::kEngineFailed, std::string("Triton makes no options: ") + error.message());
  }
  std::unique_ptr<TRITONSERVER_ServerOptions, DeleteOptions> options(raw);
  Status status = Builder(settings, folder, raw).build(repository);
  if (status.is_ok()) *out = options.release();
  return status;
}

}  // namespace subten
