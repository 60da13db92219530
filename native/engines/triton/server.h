// The one Triton server of the process, shared by every model and repository handle that uses it.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engines/triton/library.h"
#include "memory/status.h"

namespace subten {

using TritonSettings = std::vector<std::pair<std::string, std::string>>;

class TritonServer : public std::enable_shared_from_this<TritonServer> {
 public:
  // The running server, or a new one that is started with `settings`; `library` must be loaded. The repository that
  // `settings` names is added to it. kConfigInvalid when the server that runs was started with other values.
  static Status acquire(const TritonSettings& settings, std::shared_ptr<TritonServer>* out);
  // The running server, or null.
  static std::shared_ptr<TritonServer> current() noexcept;
  // The process exits: stops the server, if one runs, within about two seconds, so that the processes of its backends
  // end and their shared memory is gone. False when there was one.
  static bool stop_at_exit() noexcept;
  ~TritonServer();

  TRITONSERVER_Server* raw() const noexcept { return server_; }
  const std::string& library_folder() const noexcept { return folder_; }

  // Loads a model, or shares it with those who have loaded it with the same `config` (JSON of a ModelConfig that
  // replaces the file's; "": the file's). Each success wants one release_model().
  // `is_loaded`: load() was called for it, with files perhaps.
  Status use_model(const std::string& name, const std::string& config, bool is_loaded = false);
  // Unloads the model with its last user, and waits until Triton has let it go, for some seconds at most.
  void release_model(const std::string& name) noexcept;

  // Control for repository handles. `files`: paths within the model's folder and their bytes.
  Status load(const std::string& name, const std::string& config, std::span<const std::string> files);
  Status unload(const std::string& name, bool dependents);

  // Messages of the server as JSON.
  enum class Message { kServerMetadata, kModelMetadata, kModelConfig, kModelStatistics, kIndex, kReadyIndex };
  Status message(Message which, const std::string& model, int64_t version, std::string* json) const;
  Status metrics(std::string* text) const;
  bool live() const noexcept;
  bool ready() const noexcept;
  bool model_ready(const std::string& name, int64_t version) const noexcept;

 private:
  // A model that handles of ours use; its mutex is held while it is loaded or unloaded.
  struct Used {
    std::mutex mutex;
    uint32_t users = 0;
    std::string config;
  };

  TritonServer() = default;
  Status load_once(const std::string& name, const std::string& config, const std::vector<std::string>& files);
  Status start(const TritonSettings& settings);
  Status conflict(const TritonSettings& settings) const;
  Status add_repository(const std::string& path);
  std::shared_ptr<Used> used(const std::string& name);
  void unload_and_wait(const std::string& name, std::chrono::milliseconds patience);
  // `patience`: how long it waits for loads and unloads that are under way.
  TRITONSERVER_Error* ask_to_unload(const std::string& name, bool dependents, std::chrono::milliseconds patience);
  bool has_stuck_load();
  void stop();
  bool gone(const std::string& name) const;

  TRITONSERVER_Server* server_ = nullptr;
  std::string folder_;
  std::map<std::string, std::string> settings_;  // of the server, those that were given
  std::string control_;
  std::mutex mutex_;
  std::shared_mutex changes_;  // loads share it, an unload has it alone
  std::set<std::string> repositories_;
  std::map<std::string, std::shared_ptr<Used>> used_;
  std::set<std::string> stuck_;  // models whose load never returned
};

// What a failure to load means, with what to do about it.
Status load_status(TRITONSERVER_Error* error, const std::string& model);

}  // namespace subten
