#include "engines/triton/triton_engine.h"

#include <algorithm>
#include <charconv>
#include <mutex>

#include "engines/triton/library.h"
#include "engines/triton/server.h"
#include "engines/triton/triton_model.h"

namespace subten {
namespace {

// Servers that repository handles hold; each `start` wants one `stop`.
struct Held {
  std::mutex mutex;
  std::vector<std::shared_ptr<TritonServer>> servers;
};

Held& held() noexcept {
  static Held* const instance = new Held();  // NOLINT(bugprone-unhandled-exception-at-new): at the first control call
  return *instance;
}

TritonSettings settings_of(std::string_view lines) {
  TritonSettings settings;
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name(line.substr(0, equals));
    const std::string value(line.substr(equals + 1));
    // Several lines of one name are one value of several lines.
    const auto known =
        std::find_if(settings.begin(), settings.end(), [&](const auto& each) { return each.first == name; });
    if (known != settings.end()) {
      known->second += "\n" + value;
    } else {
      settings.emplace_back(name, value);
    }
  }
  return settings;
}

int64_t version_of(const std::string& text) {
  int64_t version = -1;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

class TritonEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "triton"; }
  Status ensure_loaded(const std::string& library_path) override { return load_triton(library_path); }
  std::string version() const override { return triton_library().version; }
  std::string library() const override { return triton_library().path; }
  Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) override {
    return open_triton_model(options, out);
  }
  bool loads_libraries() const noexcept override { return true; }
  bool stop_at_exit(bool idle) noexcept override {
    // Triton does not let a model go while a request object of it exists.
    if (idle) TritonModel::drop_all_requests();
    return TritonServer::stop_at_exit();
  }

  Status call(std::string_view method, std::span<const std::string> arguments, std::string* answer) override {
    const auto argument = [&](size_t index) { return index < arguments.size() ? arguments[index] : std::string(); };
    if (method == "start") return start(argument(0), argument(1));
    if (method == "stop") return stop();
    const std::shared_ptr<TritonServer> server = TritonServer::current();
    if (!server) return Status::error(Code::kModelClosed, "no Triton server runs in this process");
    if (method == "load") {
      return server->load(argument(0), argument(1),
                          arguments.size() > 2 ? arguments.subspan(2) : std::span<const std::string>());
    }
    if (method == "unload") return server->unload(argument(0), argument(1) == "dependents");
    if (method == "metrics") return server->metrics(answer);
    const auto yes = [&](bool value) {
      *answer = value ? "true" : "false";
      return Status::ok();
    };
    if (method == "live") return yes(server->live());
    if (method == "ready") return yes(server->ready());
    if (method == "model_ready") return yes(server->model_ready(argument(0), version_of(argument(1))));
    using Message = TritonServer::Message;
    const std::pair<std::string_view, Message> messages[] = {
        {"index", argument(0) == "ready" ? Message::kReadyIndex : Message::kIndex},
        {"metadata", Message::kModelMetadata},
        {"config", Message::kModelConfig},
        {"statistics", Message::kModelStatistics},
        {"server_metadata", Message::kServerMetadata},
    };
    for (const auto& [known, message] : messages) {
      if (method == known) return server->message(message, argument(0), version_of(argument(1)), answer);
    }
    return Engine::call(method, arguments, answer);
  }

 private:
  // (settings, library)
  static Status start(const std::string& settings, const std::string& library) {
    Status status = load_triton(library);
    if (!status.is_ok()) return status;
    std::shared_ptr<TritonServer> server;
    status = TritonServer::acquire(settings_of(settings), &server);
    if (!status.is_ok()) return status;
    std::lock_guard lock(held().mutex);
    held().servers.push_back(std::move(server));
    return Status::ok();
  }

  static Status stop() {
    std::shared_ptr<TritonServer> last;  // stopped after the lock
    std::lock_guard lock(held().mutex);
    if (held().servers.empty()) return Status::error(Code::kModelClosed, "no Triton server is held");
    last = std::move(held().servers.back());
    held().servers.pop_back();
    return Status::ok();
  }
};

}  // namespace

Engine* triton_engine() noexcept {
  static TritonEngine engine;
  return &engine;
}

}  // namespace subten
