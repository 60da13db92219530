// Wakes the event loop of one environment from any thread.
//
// A thread-safe function does this too, but holds a mutex around the write that wakes the loop. Where both threads
// share a processor the loop is then switched to in the middle of that write, blocks on the mutex and must be switched
// back: two more context switches a request. So this uses what lies beneath it, a libuv async handle.
#pragma once

#include <node_api.h>

namespace subten {

class LoopWake {
 public:
  // Called on the thread of the loop; the first argument is what create() was given.
  using Hook = void (*)(void* owner);

  // `on_wake` is called, as a callback of the event loop, some time after each send(); sends that come before that are
  // one. `on_env_end` is called when the environment ends before close(); it must call close(). Does not keep the
  // process alive until hold(true). Null: the environment refused.
  static LoopWake* create(napi_env env, napi_value on_wake, Hook on_env_end, void* owner) noexcept;

  // Any thread, until close().
  void send() noexcept;

  // Whether the process stays alive for it.
  void hold(bool wanted) noexcept;

  // No send() is under way and none will come. The object deletes itself when the loop has let go of it.
  void close() noexcept;

 private:
  LoopWake() = default;
  ~LoopWake() = default;
  static void fire(void* handle);
  static void closed(void* handle);
  static void env_ends(napi_async_cleanup_hook_handle hook, void* self);
  void call() noexcept;

  napi_env env_ = nullptr;
  napi_ref on_wake_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  Hook on_env_end_ = nullptr;
  void* owner_ = nullptr;
  void* handle_ = nullptr;  // uv_async_t, of a size that only libuv knows
  bool closing_ = false;
};

}  // namespace subten
