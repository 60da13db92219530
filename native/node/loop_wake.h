// Wakes the event loop of one environment from any thread.
//
// A thread-safe function does this too, but holds a mutex around the write that wakes the loop. Where both threads
// share a processor the loop is then switched to in the middle of that write, blocks on the mutex and must be switched
// back: two more context switches a request. So this uses what lies beneath it, a libuv async handle.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>

namespace subten {

class LoopWake {
 public:
  enum class Look : uint8_t { kNothing, kCall, kStop };

  // Whom it serves. All run on the thread of the loop.
  class Owner {
   public:
    virtual void on_env_end() noexcept = 0;  // the environment ends: call close()
    virtual Look look() noexcept = 0;        // once a turn after poll(): whether to call `on_wake`, or to poll no more

   protected:
    ~Owner() = default;
  };

  // `on_wake` is called, as a callback of the event loop, some time after each send(); sends that come before that are
  // one. Does not keep the process alive until hold(true). Null: the environment refused.
  // `watched`: HostWatch looks at the loop.
  static LoopWake* create(napi_env env, napi_value on_wake, Owner* owner, bool watched) noexcept;

  // Any thread, until close().
  void send() noexcept;

  // Whether the process stays alive for it.
  void hold(bool wanted) noexcept;

  // Until the owner says kStop, the loop does not sleep, and the owner looks in each of its turns.
  void poll() noexcept;

  // Number of the loop in HostWatch, which measures how long its turns are.
  uint32_t number() const noexcept { return number_; }

  // No send() is under way and none will come. The object deletes itself when the loop has let go of it.
  void close() noexcept;

 private:
  LoopWake() = default;
  ~LoopWake() = default;
  static void fired(void* async);
  static void turned(void* check);
  static void idled(void*) {}
  static void begins(void* prepare);
  static void closed(void* handle);
  static void env_ends(napi_async_cleanup_hook_handle hook, void* self);
  bool initialise(uv_loop_s* loop, bool watched) noexcept;
  void call() noexcept;

  napi_env env_ = nullptr;
  napi_ref on_wake_ = nullptr;
  napi_async_context context_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  Owner* owner_ = nullptr;
  // Handles of libuv, of sizes that only libuv knows: what send() wakes, what looks, and what keeps the loop awake.
  void* async_ = nullptr;
  void* check_ = nullptr;
  void* idle_ = nullptr;
  void* prepare_ = nullptr;  // counts turns
  uv_loop_s* loop_ = nullptr;
  uint32_t number_ = 0;
  std::atomic<uint64_t> turns_{0};  // written by the loop, read by HostWatch
  uint32_t open_ = 0;               // handles that the loop has not let go of
  bool polling_ = false;
  bool closing_ = false;
};

}  // namespace subten
