#include "node/engine_log.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "engines/common/log.h"
#include "node/values.h"

namespace subten {
namespace {

// Lines that an environment has not taken yet; later ones are dropped.
constexpr size_t kMostLines = 1024;

struct Listener {
  napi_threadsafe_function call = nullptr;
};

struct Listeners {
  std::mutex mutex;
  std::vector<Listener*> all;
};

Listeners& listeners() noexcept {
  static auto* const instance = new Listeners();  // NOLINT(bugprone-unhandled-exception-at-new): when it is asked for
  return *instance;
}

void forward(const LogLine& line) noexcept {
  try {
    std::lock_guard lock(listeners().mutex);
    for (const Listener* listener : listeners().all) {
      auto copy = std::make_unique<LogLine>(line);
      if (napi_call_threadsafe_function(listener->call, copy.get(), napi_tsfn_nonblocking) == napi_ok) {
        (void)copy.release();  // call_js() deletes it
      }
    }
  } catch (...) {  // no memory: the line is lost
  }
}

void call_js(napi_env env, napi_value function, void*, void* data) {
  const std::unique_ptr<LogLine> line(static_cast<LogLine*>(data));
  if (env == nullptr || !can_run_js(env)) return;  // the environment ends
  try {
    Napi::Function(env, function)
        .Call({Napi::String::New(env, std::string(line->engine)),
               Napi::Number::New(env, static_cast<double>(line->level)), Napi::String::New(env, line->source),
               Napi::String::New(env, line->message)});
  } catch (...) {  // what a listener throws is not the engine's
  }
}

void forget(napi_env, void* data, void*) {
  auto* listener = static_cast<Listener*>(data);
  std::lock_guard lock(listeners().mutex);
  std::erase(listeners().all, listener);
  delete listener;
}

}  // namespace

Napi::Value on_engine_log(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Napi::TypeError::New(env, "onEngineLog needs a function").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto listener = std::make_unique<Listener>();
  if (napi_create_threadsafe_function(env, info[0], nullptr, Napi::String::New(env, "subten:log"), kMostLines, 1,
                                      listener.get(), forget, nullptr, call_js, &listener->call) != napi_ok) {
    return env.Undefined();
  }
  napi_unref_threadsafe_function(env, listener->call);
  std::lock_guard lock(listeners().mutex);
  listeners().all.push_back(listener.release());  // forget() deletes it
  set_log_sink(forward);
  return env.Undefined();
}

}  // namespace subten
