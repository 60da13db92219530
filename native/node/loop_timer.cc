#include "node/loop_timer.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>

#include "node/libuv.h"
#include "node/values.h"

namespace subten {
namespace {

class LoopTimer {
 public:
  // Null: errno says why.
  static LoopTimer* create(Napi::Env env, Napi::Function on_due) noexcept {
    uv_loop_s* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
      errno = ENOSYS;
      return nullptr;
    }
    auto* self = new (std::nothrow) LoopTimer(env);
    if (self == nullptr) return nullptr;
    self->fd_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->poll_ = std::calloc(1, uv_handle_size(kUvPoll));
    if (self->fd_ < 0 || self->poll_ == nullptr || uv_poll_init(loop, self->poll_, self->fd_) != 0) {
      const int error = errno;
      std::free(self->poll_);
      self->end();
      errno = error;
      return nullptr;
    }
    uv_handle_set_data(self->poll_, self);
    self->on_due_ = Napi::Persistent(on_due);
    self->context_.emplace(env, "subten.timer");
    napi_add_async_cleanup_hook(env, env_ends, self, &self->cleanup_);
    return self;
  }

  void arm(double microseconds) noexcept {
    if (closing_) return;
    // Zero would disarm it, and an hour is more than anybody waits for.
    const auto ns = static_cast<int64_t>(std::clamp(microseconds * 1e3, 1.0, 3.6e12));
    const itimerspec due{{0, 0}, {ns / 1'000'000'000, ns % 1'000'000'000}};
    ::timerfd_settime(fd_, 0, &due, nullptr);
    if (armed_) return;
    armed_ = true;
    uv_poll_start(poll_, kUvReadable, readable);
  }

  void close() noexcept {
    if (closing_) return;
    closing_ = true;
    uv_poll_stop(poll_);
    uv_close(poll_, closed);
  }

  // `owner` is set to null when this ends, unless it was forgotten.
  void tell_end(LoopTimer** owner) noexcept { owner_ = owner; }
  void forget_owner() noexcept { owner_ = nullptr; }

 private:
  explicit LoopTimer(Napi::Env env) : env_(env) {}

  static LoopTimer* of(const void* handle) { return static_cast<LoopTimer*>(uv_handle_get_data(handle)); }

  static void readable(void* poll, int, int) { of(poll)->due(); }

  void due() noexcept {
    uint64_t times = 0;
    if (::read(fd_, &times, sizeof times) != sizeof times) return;  // armed anew meanwhile
    armed_ = false;
    uv_poll_stop(poll_);
    Napi::HandleScope scope(env_);
    call_from_loop(env_, *context_, on_due_.Value());
  }

  static void env_ends(napi_async_cleanup_hook_handle, void* data) { static_cast<LoopTimer*>(data)->close(); }

  static void closed(void* poll) {
    LoopTimer* self = of(poll);
    std::free(poll);
    self->end();
  }

  void end() noexcept {
    if (owner_ != nullptr) *owner_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    {
      Napi::HandleScope scope(env_);
      on_due_.Reset();
      context_.reset();
    }
    // An environment that ends waits for this.
    if (cleanup_ != nullptr) napi_remove_async_cleanup_hook(cleanup_);
    delete this;
  }

  Napi::Env env_;
  Napi::FunctionReference on_due_;
  std::optional<Napi::AsyncContext> context_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  LoopTimer** owner_ = nullptr;
  void* poll_ = nullptr;
  int fd_ = -1;
  bool armed_ = false;
  bool closing_ = false;
};

// What JavaScript holds. The timer may end before it, with its environment, or after it.
class Handle final : public Napi::ObjectWrap<Handle> {
 public:
  explicit Handle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Handle>(info) {}
  ~Handle() override {
    if (timer_ == nullptr) return;
    timer_->forget_owner();
    timer_->close();
  }

  static Napi::Object create(Napi::Env env, LoopTimer* timer) {
    const Napi::Function constructor =
        DefineClass(env, "LoopTimer", {InstanceMethod("arm", &Handle::arm), InstanceMethod("close", &Handle::close)});
    Napi::Object object = constructor.New({});
    Handle* self = Unwrap(object);
    self->timer_ = timer;
    timer->tell_end(&self->timer_);
    return object;
  }

 private:
  void arm(const Napi::CallbackInfo& info) {
    if (timer_ != nullptr) timer_->arm(info[0].As<Napi::Number>().DoubleValue());
  }
  void close(const Napi::CallbackInfo&) {
    if (timer_ != nullptr) timer_->close();
  }

  LoopTimer* timer_ = nullptr;
};

}  // namespace

Napi::Value loop_timer(const Napi::CallbackInfo& info) {
  LoopTimer* timer = LoopTimer::create(info.Env(), info[0].As<Napi::Function>());
  if (timer == nullptr) return Napi::Number::New(info.Env(), errno);
  return Handle::create(info.Env(), timer);
}

}  // namespace subten
