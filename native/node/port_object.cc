#include "node/port_object.h"

#include <cstring>
#include <new>

#include "node/port_calls.h"

namespace subten {

void PortObject::wake(void* context) noexcept { static_cast<PortObject*>(context)->loop_wake_->send(); }

LoopWake::Look PortObject::look() noexcept {
  if (!port_) return LoopWake::Look::kStop;
  switch (port_->look()) {
    case Port::Look::kTake:
      return LoopWake::Look::kCall;
    case Port::Look::kNothing:
      return LoopWake::Look::kNothing;
    default:
      return LoopWake::Look::kStop;
  }
}

void PortObject::close_native() noexcept {
  if (port_) {
    // The gate closes first: from here on no native thread wakes the loop.
    port_->close();
    port_.reset();  // model: port_object.release
  }
  if (loop_wake_ != nullptr) {
    loop_wake_->close();
    loop_wake_ = nullptr;
  }
}

void PortObject::keep_alive() noexcept {
  if (loop_wake_ == nullptr) return;
  const bool wanted = keep_ == Keep::kAlways || (keep_ == Keep::kInFlight && port_->in_flight() > 0);
  if (wanted == held_) return;
  held_ = wanted;
  loop_wake_->hold(wanted);
}

void PortObject::drop() noexcept {
  if (--users_ != 0) return;
  close_native();  // for one that was garbage-collected without close(), or never given to JS
  delete this;
}

Napi::Value PortObject::create(Napi::Env env, const std::shared_ptr<ModelCore>& core, Napi::Function on_wake,
                               Status* status) {
  auto* self = new (std::nothrow) PortObject();
  if (self == nullptr) {
    *status = Status::error(Code::kOutOfMemory, "no memory for a port");
    return env.Undefined();
  }
  // This function is a user too: where it ends early, its drop() is the last one and gives everything back.
  ++self->users_;
  const auto drop_self = [](PortObject* object) { object->drop(); };
  const std::unique_ptr<PortObject, decltype(drop_self)> creator(self, drop_self);
  self->loop_wake_ = LoopWake::create(env, on_wake, self, core->options().slow_limit_ns >= 0);
  if (self->loop_wake_ == nullptr) {
    *status = Status::error(Code::kOutOfMemory, "the event loop refused a handle for a port");
    return env.Undefined();
  }
  *status = Port::create(core, wake, self, &self->port_);
  if (!status->is_ok()) return env.Undefined();
  self->port_->set_loop(self->loop_wake_->number());
  self->slab_ = core->slab_pointer();
  self->end_ = core->end();
  return make_port_object(env, self);
}

}  // namespace subten
