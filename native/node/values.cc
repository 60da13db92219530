#include "node/values.h"

#include <algorithm>

namespace subten {

std::vector<TensorSpec> tensors_from_js(const Napi::Value& value) {
  std::vector<TensorSpec> tensors;
  if (!value.IsArray()) return tensors;
  const Napi::Array array = value.As<Napi::Array>();
  // One more than a model may have is enough to be refused.
  const uint32_t length = std::min<uint32_t>(array.Length(), kMaxTensors + 1);
  for (uint32_t i = 0; i < length; ++i) {
    const Napi::Value element = array.Get(i);
    if (!element.IsObject()) continue;
    const Napi::Object object = element.As<Napi::Object>();
    TensorSpec tensor;
    tensor.name = get_string(object, "name");
    const auto type = get_whole<uint32_t>(object, "type", 0, UINT32_MAX);
    tensor.type = static_cast<DataType>(type < kDataTypeCount ? type : 0);
    tensor.optional = get_bool(object, "optional");
    tensor.ragged = get_bool(object, "ragged");
    const Napi::Value shape = object.Get("shape");
    const uint32_t rank = shape.IsArray() ? std::min<uint32_t>(shape.As<Napi::Array>().Length(), kMaxRank + 1) : 0;
    for (uint32_t dim = 0; dim < rank; ++dim) {
      const Napi::Value size = shape.As<Napi::Array>().Get(dim);
      tensor.shape.push_back(size.IsNumber() ? std::max<int64_t>(-1, size.As<Napi::Number>().Int64Value()) : -1);
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Napi::Array tensors_to_js(Napi::Env env, const std::vector<TensorSpec>& tensors) {
  Napi::Array array = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    const TensorSpec& tensor = tensors[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", tensor.name);
    object.Set("type", Napi::Number::New(env, static_cast<double>(tensor.type)));
    object.Set("optional", Napi::Boolean::New(env, tensor.optional));
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t dim = 0; dim < tensor.shape.size(); ++dim) {
      shape.Set(dim, Napi::Number::New(env, static_cast<double>(tensor.shape[dim])));
    }
    object.Set("shape", shape);
    array.Set(i, object);
  }
  return array;
}

void call_from_loop(napi_env env, napi_async_context context, napi_value function) noexcept {
  napi_value receiver, result, error;
  if (napi_get_global(env, &receiver) == napi_ok &&
      napi_make_callback(env, context, receiver, function, 0, nullptr, &result) == napi_pending_exception &&
      napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    napi_fatal_exception(env, error);
  }
}

bool can_run_js(napi_env env) noexcept {
  napi_value probe;
  // Setting a property is refused where no JS can run; making an object is not.
  return napi_create_object(env, &probe) == napi_ok && napi_set_named_property(env, probe, "probe", probe) == napi_ok;
}

}  // namespace subten
