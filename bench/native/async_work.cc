// The usual way to run something outside the event loop: twenty lines of napi_async_work around the null engine's copy
// of 64 floats. infer(Float32Array) gives a promise of a new Float32Array.
#include <node_api.h>

#include <cstring>

struct Work {
  float input[64], output[64];
  napi_deferred deferred;
  napi_async_work work;
};

napi_value infer(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, name, promise;
  void* data = nullptr;
  auto* work = new Work;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_typedarray_info(env, argument, nullptr, nullptr, &data, nullptr, nullptr);
  std::memcpy(work->input, data, sizeof(work->input));
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, "infer", NAPI_AUTO_LENGTH, &name);
  const auto execute = [](napi_env, void* self) {
    std::memcpy(static_cast<Work*>(self)->output, static_cast<Work*>(self)->input, sizeof(Work::output));
  };
  const auto complete = [](napi_env env, napi_status, void* self) {
    auto* work = static_cast<Work*>(self);
    void* data = nullptr;
    napi_value buffer, array;
    napi_create_arraybuffer(env, sizeof(work->output), &data, &buffer);
    std::memcpy(data, work->output, sizeof(work->output));
    napi_create_typedarray(env, napi_float32_array, 64, buffer, 0, &array);
    napi_resolve_deferred(env, work->deferred, array);
    napi_delete_async_work(env, work->work);
    delete work;
  };
  napi_create_async_work(env, nullptr, name, execute, complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "infer", NAPI_AUTO_LENGTH, infer, nullptr, &function);
  napi_set_named_property(env, exports, "infer", function);
  return exports;
}
