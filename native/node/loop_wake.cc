#include "node/loop_wake.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <initializer_list>
#include <new>

#include "executor/process_state.h"
#include "node/libuv.h"
#include "node/values.h"

namespace subten {
namespace {

uint64_t idle_time(void* loop) { return uv_metrics_idle_time(static_cast<uv_loop_s*>(loop)); }

LoopWake* of(const void* handle) { return static_cast<LoopWake*>(uv_handle_get_data(handle)); }

}  // namespace

LoopWake* LoopWake::create(napi_env env, napi_value on_wake, Owner* owner, bool watched) noexcept {
  uv_loop_s* loop = nullptr;
  napi_value name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
      napi_create_string_utf8(env, "subten", NAPI_AUTO_LENGTH, &name) != napi_ok) {
    return nullptr;
  }
  auto* self = new (std::nothrow) LoopWake();
  if (self == nullptr) return nullptr;
  self->env_ = env;
  self->owner_ = owner;
  if (self->initialise(loop, watched) && napi_add_async_cleanup_hook(env, env_ends, self, &self->cleanup_) == napi_ok &&
      napi_create_reference(env, on_wake, 1, &self->on_wake_) == napi_ok &&
      napi_async_init(env, nullptr, name, &self->context_) == napi_ok) {
    return self;
  }
  if (self->open_ > 0) {
    self->close();
  } else {
    delete self;
  }
  return nullptr;
}

// A handle that was initialised is freed by the loop only.
bool LoopWake::initialise(uv_loop_s* loop, bool watched) noexcept {
  const auto take = [this](void** field, void* memory) {
    uv_handle_set_data(memory, this);
    uv_unref(memory);
    *field = memory;
    ++open_;
  };
  void* async = std::calloc(1, uv_handle_size(kUvAsync));
  void* check = std::calloc(1, uv_handle_size(kUvCheck));
  void* idle = std::calloc(1, uv_handle_size(kUvIdle));
  void* prepare = std::calloc(1, uv_handle_size(kUvPrepare));
  if (async == nullptr || check == nullptr || idle == nullptr || prepare == nullptr ||
      uv_async_init(loop, async, fired) != 0) {
    for (void* memory : {async, check, idle, prepare}) std::free(memory);
    return false;
  }
  take(&async_, async);
  uv_check_init(loop, check);  // these cannot fail
  take(&check_, check);
  uv_idle_init(loop, idle);
  take(&idle_, idle);
  uv_prepare_init(loop, prepare);
  take(&prepare_, prepare);
  if (!watched) return true;
  uv_prepare_start(prepare, begins);
  loop_ = loop;
  number_ = process_state().host.watch_loop(loop, idle_time, &turns_, static_cast<int>(::syscall(SYS_gettid)));
  return true;
}

void LoopWake::send() noexcept { uv_async_send(async_); }

void LoopWake::hold(bool wanted) noexcept { wanted ? uv_ref(async_) : uv_unref(async_); }

void LoopWake::poll() noexcept {
  if (polling_ || closing_) return;
  polling_ = true;
  uv_check_start(check_, turned);
  uv_idle_start(idle_, idled);
}

void LoopWake::close() noexcept {
  if (closing_) return;
  closing_ = true;
  if (loop_ != nullptr) process_state().host.leave_loop(loop_, &turns_);
  for (void* handle : {async_, check_, idle_, prepare_}) uv_close(handle, closed);
}

void LoopWake::fired(void* async) { of(async)->call(); }

// relaxed, one writer: a count.
void LoopWake::begins(void* prepare) {
  std::atomic<uint64_t>& turns = of(prepare)->turns_;
  turns.store(turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void LoopWake::turned(void* check) {
  LoopWake* self = of(check);
  const Look look = self->owner_->look();
  if (look == Look::kCall) return self->call();
  if (look == Look::kNothing) return;
  self->polling_ = false;
  uv_check_stop(self->check_);
  uv_idle_stop(self->idle_);
}

void LoopWake::call() noexcept {
  if (closing_) return;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value function;
  if (napi_get_reference_value(env_, on_wake_, &function) == napi_ok && function != nullptr) {
    call_from_loop(env_, context_, function);
  }
  napi_close_handle_scope(env_, scope);
}

void LoopWake::env_ends(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<LoopWake*>(data);
  if (!self->closing_) self->owner_->on_env_end();
}

void LoopWake::closed(void* handle) {
  LoopWake* self = of(handle);
  std::free(handle);
  if (--self->open_ > 0) return;
  napi_handle_scope scope;
  if (napi_open_handle_scope(self->env_, &scope) == napi_ok) {
    if (self->on_wake_ != nullptr) napi_delete_reference(self->env_, self->on_wake_);
    if (self->context_ != nullptr) napi_async_destroy(self->env_, self->context_);
    napi_close_handle_scope(self->env_, scope);
  }
  // An environment that ends waits for this.
  if (self->cleanup_ != nullptr) napi_remove_async_cleanup_hook(self->cleanup_);
  delete self;
}

}  // namespace subten
