#include "node/port_object.h"

#include <cstring>
#include <new>

#include "node/port_calls.h"

namespace subten {

void PortObject::wake(void* context) noexcept {
  napi_call_threadsafe_function(static_cast<PortObject*>(context)->tsfn_, nullptr, napi_tsfn_nonblocking);
}

void PortObject::call_js(napi_env env, napi_value on_wake, void*, void*) {
  if (env == nullptr || on_wake == nullptr) return;
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  napi_value result;
  if (napi_call_function(env, undefined, on_wake, 0, nullptr, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
}

void PortObject::on_env_end(void* self) { static_cast<PortObject*>(self)->close_native(); }

void PortObject::close_native() noexcept {
  if (!port_) return;
  // The gate closes first: from here on no native thread touches the thread-safe function.
  port_->close();
  port_.reset();  // model: port_object.release
  napi_release_threadsafe_function(tsfn_, napi_tsfn_abort);
  tsfn_ = nullptr;
}

void PortObject::keep_alive() noexcept {
  if (tsfn_ == nullptr) return;
  const bool wanted = keep_ == Keep::kAlways || (keep_ == Keep::kInFlight && port_->in_flight() > 0);
  if (wanted == held_) return;
  held_ = wanted;
  if (wanted) {
    napi_ref_threadsafe_function(env_, tsfn_);
  } else {
    napi_unref_threadsafe_function(env_, tsfn_);
  }
}

void PortObject::drop() noexcept {
  if (--users_ != 0) return;
  if (port_) {  // garbage-collected without close()
    napi_remove_env_cleanup_hook(env_, on_env_end, this);
    close_native();
  }
  delete this;
}

Napi::Value PortObject::create(Napi::Env env, const std::shared_ptr<ModelCore>& core, Napi::Function on_wake,
                               Status* status) {
  auto* self = new (std::nothrow) PortObject();
  if (self == nullptr) {
    *status = Status::error(Code::kOutOfMemory, "no memory for a port");
    return env.Undefined();
  }
  self->env_ = env;
  napi_value name = Napi::String::New(env, "subten");
  if (napi_create_threadsafe_function(env, on_wake, nullptr, name, 0, 1, nullptr, nullptr, self, call_js,
                                      &self->tsfn_) != napi_ok) {
    delete self;
    *status = Status::error(Code::kOutOfMemory, "no thread-safe function for a port");
    return env.Undefined();
  }
  napi_unref_threadsafe_function(env, self->tsfn_);
  *status = Port::create(core, wake, self, &self->port_);
  if (!status->is_ok()) {
    napi_release_threadsafe_function(self->tsfn_, napi_tsfn_abort);
    delete self;
    return env.Undefined();
  }
  self->slab_ = core->slab_pointer();
  self->end_ = core->end();
  // Added after the thread-safe function's own hook, so that it runs before it.
  napi_add_env_cleanup_hook(env, on_env_end, self);
  return make_port_object(env, self);
}

}  // namespace subten
