#include "node/engine_call.h"

#include <memory>
#include <string>
#include <vector>

#include "engines/engine.h"
#include "executor/process_state.h"
#include "node/text_worker.h"
#include "node/values.h"

namespace subten {
namespace {

constexpr uint32_t kMostArguments = 4096;

class CallWorker final : public TextWorker {
 public:
  CallWorker(Napi::Env env, Engine* engine, std::string method, std::vector<std::string> arguments)
      : TextWorker(env), engine_(engine), method_(std::move(method)), arguments_(std::move(arguments)) {}

  void Execute() override {
    try {
      status_ = engine_->call(method_, arguments_, &answer_);
      // Our exit handler runs before those that libraries have registered meanwhile.
      if (method_ == "start" || method_ == "load") register_exit_handler();
    } catch (...) {
      status_ = Status::quiet(Code::kOutOfMemory, "there was no memory left for a call of the engine");
    }
  }

 private:
  Engine* engine_;
  std::string method_;
  std::vector<std::string> arguments_;
};

std::string bytes_of(const Napi::Value& value) {
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  if (!value.IsTypedArray()) return {};
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  const auto* data = static_cast<const char*>(array.ArrayBuffer().Data());
  return data == nullptr ? std::string() : std::string(data + array.ByteOffset(), array.ByteLength());
}

Napi::Value call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : std::string();
  Engine* engine = find_engine(name);
  if (engine == nullptr) {
    auto deferred = Napi::Promise::Deferred::New(env);
    deferred.Resolve(to_js(env, Status::error(Code::kEngineNotFound, "there is no engine '" + name + "'")));
    return deferred.Promise();
  }
  std::vector<std::string> arguments;
  if (info[2].IsArray()) {
    const Napi::Array list = info[2].As<Napi::Array>();
    const uint32_t length = std::min(list.Length(), kMostArguments);
    for (uint32_t i = 0; i < length; ++i) arguments.push_back(bytes_of(list.Get(i)));
  }
  if (env.IsExceptionPending()) return env.Undefined();  // a getter threw
  const std::string method = info[1].IsString() ? info[1].As<Napi::String>().Utf8Value() : std::string();
  return TextWorker::start(std::make_unique<CallWorker>(env, engine, method, std::move(arguments)));
}

}  // namespace

Napi::Value engine_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return {env, or_out_of_memory(env, [&]() -> napi_value { return call(info); })};
}

}  // namespace subten
