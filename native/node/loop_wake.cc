#include "node/loop_wake.h"

#include <cstdlib>
#include <new>

// The part of libuv's interface that is used here, declared as its documentation has it. Handles are opaque: their size
// is asked for, and their one public field is read and written by functions, so that no layout is relied upon.
extern "C" {
struct uv_loop_s;
size_t uv_handle_size(int type);
int uv_async_init(uv_loop_s* loop, void* async, void (*callback)(void* async));
int uv_async_send(void* async);
void uv_close(void* handle, void (*closed)(void* handle));
void uv_ref(void* handle);
void uv_unref(void* handle);
void* uv_handle_get_data(const void* handle);
void uv_handle_set_data(void* handle, void* data);
}

namespace subten {
namespace {
constexpr int kUvAsync = 1;  // UV_ASYNC, the first of uv_handle_type
}  // namespace

LoopWake* LoopWake::create(napi_env env, napi_value on_wake, Hook on_env_end, void* owner) noexcept {
  uv_loop_s* loop = nullptr;
  napi_value name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "subten", NAPI_AUTO_LENGTH, &name) != napi_ok) {
    return nullptr;
  }
  auto* self = new (std::nothrow) LoopWake();
  if (self == nullptr) return nullptr;
  self->env_ = env;
  self->on_env_end_ = on_env_end;
  self->owner_ = owner;
  self->handle_ = std::calloc(1, uv_handle_size(kUvAsync));
  if (self->handle_ == nullptr || uv_async_init(loop, self->handle_, fire) != 0) {
    std::free(self->handle_);
    delete self;
    return nullptr;
  }
  // From here on only the loop may free it.
  uv_handle_set_data(self->handle_, self);
  uv_unref(self->handle_);
  if (napi_add_async_cleanup_hook(env, env_ends, self, &self->cleanup_) != napi_ok ||
      napi_create_reference(env, on_wake, 1, &self->on_wake_) != napi_ok ||
      napi_async_init(env, nullptr, name, &self->context_) != napi_ok) {
    self->close();
    return nullptr;
  }
  return self;
}

void LoopWake::send() noexcept { uv_async_send(handle_); }

void LoopWake::hold(bool wanted) noexcept { wanted ? uv_ref(handle_) : uv_unref(handle_); }

void LoopWake::close() noexcept {
  if (closing_) return;
  closing_ = true;
  uv_close(handle_, closed);
}

void LoopWake::fire(void* handle) { static_cast<LoopWake*>(uv_handle_get_data(handle))->call(); }

void LoopWake::call() noexcept {
  if (closing_) return;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value function, receiver, result;
  if (napi_get_reference_value(env_, on_wake_, &function) == napi_ok && function != nullptr &&
      napi_get_global(env_, &receiver) == napi_ok &&
      napi_make_callback(env_, context_, receiver, function, 0, nullptr, &result) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
  }
  napi_close_handle_scope(env_, scope);
}

void LoopWake::env_ends(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<LoopWake*>(data);
  if (!self->closing_) self->on_env_end_(self->owner_);
}

// The environment waits for this, whoever asked for the close.
void LoopWake::closed(void* handle) {
  auto* self = static_cast<LoopWake*>(uv_handle_get_data(handle));
  napi_handle_scope scope;
  if (napi_open_handle_scope(self->env_, &scope) == napi_ok) {
    if (self->on_wake_ != nullptr) napi_delete_reference(self->env_, self->on_wake_);
    if (self->context_ != nullptr) napi_async_destroy(self->env_, self->context_);
    napi_close_handle_scope(self->env_, scope);
  }
  if (self->cleanup_ != nullptr) napi_remove_async_cleanup_hook(self->cleanup_);
  std::free(handle);
  delete self;
}

}  // namespace subten
