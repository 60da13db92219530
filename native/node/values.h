// Small conversions between N-API values and ours. The only place that knows both.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "memory/status.h"
#include "memory/tensor.h"

namespace subten {

// { status, message }: the form in which errors cross; the TypeScript side throws.
inline Napi::Object to_js(Napi::Env env, const Status& status) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("status", Napi::Number::New(env, static_cast<double>(status.code)));
  object.Set("message", Napi::String::New(env, status.message));
  return object;
}

inline std::string get_string(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

inline double get_number(const Napi::Object& object, const char* name, double otherwise) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
}

// A whole number from 0 to `most`; what lies outside becomes the nearest of them, what is no number 0.
template <typename T>
T get_whole(const Napi::Object& object, const char* name, double otherwise, T most, double scale = 1) {
  const double number = get_number(object, name, otherwise) * scale;
  if (!(number > 0)) return 0;
  // `most` may be rounded up on its way to a double.
  return number >= static_cast<double>(most) ? most : static_cast<T>(number);
}

inline bool get_bool(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

// No exception may leave a function that JS calls: without memory it throws a JS error.
template <typename Call>
napi_value or_out_of_memory(napi_env env, Call call) {
  try {
    return call();
  } catch (const Napi::Error&) {
    throw;  // what JS threw, or the end of the environment: guarded() knows
  } catch (...) {
    napi_throw_error(env, "OUT_OF_MEMORY", "there was no memory left for this call");
    return nullptr;
  }
}

std::vector<TensorSpec> tensors_from_js(const Napi::Value& value);
Napi::Array tensors_to_js(Napi::Env env, const std::vector<TensorSpec>& tensors);

// Calls `function` without arguments as a callback of the event loop; what it throws is an uncaught exception.
void call_from_loop(napi_env env, napi_async_context context, napi_value function) noexcept;

// False while the environment is being torn down: work of the thread pool completes then as well, but nothing of JS can
// be made any more, and node-addon-api ends the process over an exception that it cannot throw.
bool can_run_js(napi_env env) noexcept;

}  // namespace subten
