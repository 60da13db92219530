#include "engines/triton/server.h"

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <future>
#include <new>
#include <thread>

#include "engines/common/json.h"
#include "engines/triton/dead_children.h"
#include "engines/triton/server_options.h"

namespace subten {
namespace {

// How long release_model() waits for Triton to let a model go.
constexpr auto kUnloadPatience = std::chrono::seconds(5);
// How often a load looks for a process that has died, and how many times it must find one.
constexpr auto kLook = std::chrono::milliseconds(100);
constexpr int kLooks = 10;
constexpr auto kExitPatience = std::chrono::milliseconds(2000);

// Process-wide and never destroyed. `lifetime` is held while a server is started or stopped: there is never more than
// one of them.
struct Running {
  std::timed_mutex lifetime;
  std::mutex mutex;
  std::weak_ptr<TritonServer> server;
};

Running& running() noexcept {
  alignas(Running) static std::byte storage[sizeof(Running)];
  static Running* const instance = new (storage) Running;
  return *instance;
}

std::string real_path(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) != nullptr ? resolved : path;
}

std::string setting(const TritonSettings& settings, std::string_view name) {
  for (const auto& [key, value] : settings) {
    if (key == name) return value;
  }
  return {};
}

// Parameters of a load, deleted at the end.
class Parameters {
 public:
  ~Parameters() {
    for (const TRITONSERVER_Parameter* parameter : all_) {
      triton().ParameterDelete(const_cast<TRITONSERVER_Parameter*>(parameter));
    }
  }
  void text(const char* name, const std::string& value) {
    all_.push_back(triton().ParameterNew(name, TRITONSERVER_PARAMETER_STRING, value.c_str()));
  }
  void bytes(const std::string& name, const std::string& value) {
    all_.push_back(triton().ParameterBytesNew(name.c_str(), value.data(), value.size()));
  }
  const TRITONSERVER_Parameter** data() noexcept { return all_.data(); }
  size_t size() const noexcept { return all_.size(); }

 private:
  std::vector<const TRITONSERVER_Parameter*> all_;
};

Status control_status(TRITONSERVER_Error* error) {
  TritonError held(error);
  return held ? request_status(error) : Status::ok();
}

}  // namespace

Status load_status(TRITONSERVER_Error* error, const std::string& model) {
  const TritonError held(error);
  const std::string reason = held.message();
  const std::string sentence = "Triton cannot load model '" + model + "': " + reason;
  const auto says = [&](std::string_view text) { return reason.find(text) != std::string::npos; };
  if (held.code() == TRITONSERVER_ERROR_NOT_FOUND || says("failed to poll from model repository")) {
    return Status::error(Code::kModelNotFound, sentence);
  }
  if (says("unable to find backend library") || says("unable to find 'libtriton_")) {
    return Status::error(Code::kEngineNotFound,
                         sentence +
                             ". The folder of backends has none of that name: install it there, or point "
                             "triton.backendDirectory to a folder that has it");
  }
  return Status::error(Code::kModelInvalid, sentence);
}

Status TritonServer::acquire(const TritonSettings& settings, std::shared_ptr<TritonServer>* out) {
  Running& self = running();
  std::shared_ptr<TritonServer> server;  // before the lock: if this is the last use of it, its end takes the lock
  std::lock_guard lifetime(self.lifetime);
  server = current();
  if (server) {
    Status status = server->conflict(settings);
    if (status.is_ok()) status = server->add_repository(setting(settings, "repository"));
    if (!status.is_ok()) return status;
  } else {
    server.reset(new TritonServer());
    Status status = server->start(settings);
    if (!status.is_ok()) return status;
    std::lock_guard lock(self.mutex);
    self.server = server;
  }
  *out = std::move(server);
  return Status::ok();
}

std::shared_ptr<TritonServer> TritonServer::current() noexcept {
  Running& self = running();
  std::lock_guard lock(self.mutex);
  return self.server.lock();
}

Status TritonServer::start(const TritonSettings& settings) {
  const TritonLibrary library = triton_library();
  folder_ = library.path.substr(0, library.path.rfind('/'));
  for (const auto& [name, value] : settings) {
    if (is_server_setting(name) && !value.empty()) settings_[name] = value;
  }
  control_ = settings_.count("control") != 0 ? settings_["control"] : std::string(default_server_setting("control"));
  const std::string repository = real_path(setting(settings, "repository"));
  // For scripts/triton-stub.sh, which starts the processes of the Python backend: they inherit it.
  if (const std::string python = setting(settings, "python"); !python.empty()) {
    ::setenv("SUBTEN_TRITON_PYTHON", python.c_str(), 1);
  }
  TRITONSERVER_ServerOptions* options = nullptr;
  Status status = make_server_options(settings_, folder_, repository, &options);
  if (!status.is_ok()) return status;
  const TritonError error(triton().ServerNew(&server_, options));
  const TritonError ignored(triton().ServerOptionsDelete(options));
  if (error) {
    server_ = nullptr;
    return Status::error(Code::kEngineFailed, std::string("Triton does not start: ") + error.message());
  }
  repositories_.insert(repository);
  return Status::ok();
}

TritonServer::~TritonServer() {
  if (server_ == nullptr) return;
  std::lock_guard lifetime(running().lifetime);
  const TritonError ignored(triton().ServerDelete(server_));
}

Status TritonServer::conflict(const TritonSettings& settings) const {
  for (const auto& [name, value] : settings) {
    if (!is_server_setting(name) || value.empty()) continue;
    const auto found = settings_.find(name);
    const std::string has = found != settings_.end() ? found->second : std::string(default_server_setting(name));
    if (has == value) continue;
    std::string message = "triton: ";
    message.append(name).append(" is '").append(value).append("', but the Triton server of this process runs with '");
    message.append(has).append("'; there is one server for all models of a process: give them the same options, or ");
    message.append("close the others first");
    return Status::error(Code::kConfigInvalid, std::move(message));
  }
  return Status::ok();
}

Status TritonServer::add_repository(const std::string& path) {
  const std::string real = real_path(path);
  std::lock_guard lock(mutex_);
  if (path.empty() || repositories_.count(real) != 0) return Status::ok();
  if (control_ != "explicit") {
    return Status::error(Code::kConfigInvalid,
                         "triton: the server of this process was started with control: " + control_ +
                             " for another model repository; use control: explicit to load from " + real + " as well");
  }
  if (TritonError error = triton().ServerRegisterModelRepository(server_, real.c_str(), nullptr, 0)) {
    return Status::error(Code::kConfigInvalid,
                         "Triton does not take the model repository " + real + ": " + error.message());
  }
  repositories_.insert(real);
  return Status::ok();
}

std::shared_ptr<TritonServer::Used> TritonServer::used(const std::string& name) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Used>& entry = used_[name];
  if (!entry) entry = std::make_shared<Used>();
  return entry;
}

Status TritonServer::use_model(const std::string& name, const std::string& config, bool is_loaded) {
  const std::shared_ptr<Used> entry = used(name);
  std::lock_guard lock(entry->mutex);
  if (entry->users > 0 && entry->config != config) {
    return Status::error(Code::kConfigInvalid,
                         "model '" + name +
                             "' is loaded in Triton with other settings; Triton has a model once: "
                             "load it with the same options, or close it first");
  }
  if (entry->users == 0) {
    if (control_ == "explicit" && !is_loaded) {
      Status status = load(name, config, {});
      if (!status.is_ok()) return status;
    } else if (!model_ready(name, -1)) {
      if (is_loaded) return Status::error(Code::kModelNotFound, "Triton has not loaded model '" + name + "'");
      return Status::error(Code::kModelNotFound, "the Triton server of this process, started with control: " +
                                                     control_ + ", has no model '" + name + "' that is ready");
    }
    entry->config = config;
  }
  ++entry->users;
  return Status::ok();
}

void TritonServer::release_model(const std::string& name) noexcept {
  try {
    const std::shared_ptr<Used> entry = used(name);
    std::lock_guard lock(entry->mutex);
    if (--entry->users > 0 || control_ != "explicit") return;
    unload_and_wait(name, kUnloadPatience);
  } catch (...) {  // no memory: Triton unloads it all the same, and nobody waits
  }
}

void TritonServer::unload_and_wait(const std::string& name, std::chrono::milliseconds patience) {
  const TritonError error(ask_to_unload(name, false, patience));
  if (error) return;
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!gone(name) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Triton takes loads and unloads of several threads, but crashes when an unload makes it load an ensemble anew, which
// has lost a part, while another thread unloads that: seen in ModelLifeCycle::CreateModel of 2.51. So an unload is
// alone.
TRITONSERVER_Error* TritonServer::ask_to_unload(const std::string& name, bool dependents,
                                                std::chrono::milliseconds patience) {
  std::unique_lock alone(changes_, std::try_to_lock);
  const auto until = std::chrono::steady_clock::now() + patience;
  // A load that never returns keeps its share for ever; nobody waits for it.
  while (!alone.owns_lock() && !has_stuck_load() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    (void)alone.try_lock();
  }
  return dependents ? triton().ServerUnloadModelAndDependents(server_, name.c_str())
                    : triton().ServerUnloadModel(server_, name.c_str());
}

bool TritonServer::has_stuck_load() {
  std::lock_guard lock(mutex_);
  return !stuck_.empty();
}

// Unloads what is loaded before the server is stopped, which would look for it only once a second.
void TritonServer::stop() {
  std::map<std::string, std::shared_ptr<Used>> all;
  {
    std::lock_guard lock(mutex_);
    if (control_ == "explicit") all = used_;
  }
  for (const auto& [name, entry] : all) {
    std::lock_guard lock(entry->mutex);  // whoever unloads it already comes first
    if (!gone(name)) unload_and_wait(name, kExitPatience / 2);
  }
  const TritonError ignored(triton().ServerStop(server_));
}

bool TritonServer::gone(const std::string& name) const {
  std::string text;
  Json index;
  if (!message(Message::kIndex, "", 0, &text).is_ok() || !parse_json(text, &index)) return true;
  for (const Json& model : index.items) {
    if (model["name"].text != name) continue;
    const std::string& state = model["state"].text;
    if (state == "READY" || state == "LOADING" || state == "UNLOADING") return false;
  }
  return true;
}

// Triton waits without end for a process of its Python backend that dies while it starts. So the load has a thread, and
// is given up when such a process has been dead for a second and Triton has not noticed.
Status TritonServer::load(const std::string& name, const std::string& config, std::span<const std::string> files) {
  {
    std::lock_guard lock(mutex_);
    if (stuck_.count(name) != 0) {
      return Status::error(Code::kModelInvalid,
                           "Triton still waits for a process of model '" + name +
                               "' that died while it started; it can be loaded again in another process of yours");
    }
  }
  const std::set<pid_t> before = dead_python_stubs();
  auto loaded = std::make_shared<std::promise<Status>>();
  std::future<Status> answer = loaded->get_future();
  std::vector<std::string> copies(files.begin(), files.end());
  // It holds the server: one that has a load that never returns is never stopped, since that would not return either.
  std::thread([self = shared_from_this(), loaded, name, config, copies = std::move(copies)]() mutable {
    Status status;
    try {
      status = self->load_once(name, config, copies);
    } catch (...) {
      status = Status::quiet(Code::kOutOfMemory, "no memory to load a model");
    }
    self.reset();
    loaded->set_value(std::move(status));
  }).detach();
  for (int dead_for = 0; answer.wait_for(kLook) != std::future_status::ready;) {
    const std::set<pid_t> now = dead_python_stubs();
    const bool died = std::any_of(now.begin(), now.end(), [&](pid_t pid) { return before.count(pid) == 0; });
    dead_for = died ? dead_for + 1 : 0;
    if (dead_for < kLooks) continue;
    std::lock_guard lock(mutex_);
    stuck_.insert(name);
    return Status::error(Code::kModelInvalid,
                         "Triton cannot load model '" + name +
                             "': the process of its Python backend ended while it started. Its Python environment is "
                             "broken, or model.py ended the process: `subten doctor` tries the environment");
  }
  return answer.get();
}

Status TritonServer::load_once(const std::string& name, const std::string& config,
                               const std::vector<std::string>& files) {
  const bool plain = config.empty() && files.empty();
  if (!plain && triton().ServerLoadModelWithParameters == nullptr) {
    return Status::error(Code::kEngineVersion, "this Triton library cannot load a model with another configuration");
  }
  Parameters parameters;
  if (!config.empty()) parameters.text("config", config);
  for (size_t i = 0; i + 1 < files.size(); i += 2) parameters.bytes("file:" + files[i], files[i + 1]);
  const std::shared_lock share(changes_);
  const auto once = [&] {
    TRITONSERVER_Error* error =
        plain ? triton().ServerLoadModel(server_, name.c_str())
              : triton().ServerLoadModelWithParameters(server_, name.c_str(), parameters.data(), parameters.size());
    return error == nullptr ? Status::ok() : load_status(error, name);
  };
  Status status = once();
  if (status.message.find("undefined symbol: TRITON") == std::string::npos) return status;
  return share_triton_symbols() ? once() : status;
}

Status TritonServer::unload(const std::string& name, bool dependents) {
  return control_status(ask_to_unload(name, dependents, kUnloadPatience));
}

Status TritonServer::message(Message which, const std::string& model, int64_t version, std::string* json) const {
  TRITONSERVER_Message* message = nullptr;
  TRITONSERVER_Error* failure = nullptr;
  const char* name = model.c_str();
  switch (which) {
    case Message::kServerMetadata:
      failure = triton().ServerMetadata(server_, &message);
      break;
    case Message::kModelMetadata:
      failure = triton().ServerModelMetadata(server_, name, version, &message);
      break;
    case Message::kModelConfig:
      failure = triton().ServerModelConfig(server_, name, version, 1, &message);
      break;
    case Message::kModelStatistics:
      failure = triton().ServerModelStatistics(server_, name, version, &message);
      break;
    case Message::kIndex:
      failure = triton().ServerModelIndex(server_, 0, &message);
      break;
    case Message::kReadyIndex:
      failure = triton().ServerModelIndex(server_, TRITONSERVER_INDEX_FLAG_READY, &message);
      break;
  }
  if (failure != nullptr) return control_status(failure);
  const char* base = nullptr;
  size_t size = 0;
  Status status = control_status(triton().MessageSerializeToJson(message, &base, &size));
  if (status.is_ok()) json->assign(base, size);
  const TritonError ignored(triton().MessageDelete(message));
  return status;
}

Status TritonServer::metrics(std::string* text) const {
  TRITONSERVER_Metrics* metrics = nullptr;
  Status status = control_status(triton().ServerMetrics(server_, &metrics));
  if (!status.is_ok()) return status;
  const char* base = nullptr;
  size_t size = 0;
  status = control_status(triton().MetricsFormatted(metrics, TRITONSERVER_METRIC_PROMETHEUS, &base, &size));
  if (status.is_ok()) text->assign(base, size);
  const TritonError ignored(triton().MetricsDelete(metrics));
  return status;
}

bool TritonServer::live() const noexcept {
  bool yes = false;
  const TritonError error(triton().ServerIsLive(server_, &yes));
  return !error && yes;
}

bool TritonServer::ready() const noexcept {
  bool yes = false;
  const TritonError error(triton().ServerIsReady(server_, &yes));
  return !error && yes;
}

bool TritonServer::model_ready(const std::string& name, int64_t version) const noexcept {
  bool yes = false;
  const TritonError error(triton().ServerModelIsReady(server_, name.c_str(), version, &yes));
  return !error && yes;
}

bool TritonServer::stop_at_exit() noexcept {
  Running& self = running();
  // Somebody may be in the middle of stopping it.
  std::unique_lock lifetime(self.lifetime, kExitPatience);
  if (!lifetime.owns_lock()) return false;
  try {
    const std::shared_ptr<TritonServer> server = current();
    if (!server) return true;
    if (triton().ServerSetExitTimeout != nullptr) {
      const TritonError ignored(triton().ServerSetExitTimeout(server->server_, 1));
    }
    auto stopped = std::make_shared<std::promise<void>>();
    std::future<void> done = stopped->get_future();
    // The thread, and with it the server, is left behind when it does not return.
    std::thread([server, stopped] {
      server->stop();
      stopped->set_value();
      std::this_thread::sleep_for(std::chrono::hours(1));  // the process ends; nothing may be destroyed meanwhile
    }).detach();
    done.wait_for(kExitPatience);
  } catch (...) {  // no memory, no thread: then without
  }
  // Objects of the server are left, and a backend's static destructors abort over its threads (seen with Python's).
  return false;
}

}  // namespace subten
