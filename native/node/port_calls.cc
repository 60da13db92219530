// The functions of a port object. `submit` and `take` are the hot ones: raw N-API, no allocation.

#include "node/port_calls.h"

#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <span>
#include <vector>

#include "executor/process_state.h"
#include "metrics/clock.h"
#include "node/flight_calls.h"
#include "node/port_object.h"
#include "node/port_stats.h"
#include "node/slo_calls.h"
#include "node/values.h"

namespace subten {

struct PortCalls {
  template <size_t N>
  struct Arguments {
    std::array<double, N> number{};
    std::array<napi_value, N> value{};
    PortObject* self = nullptr;
  };

  // Numbers of the call; a value that is no number counts as 0 and is refused by the checks behind.
  template <size_t N>
  static Arguments<N> read(napi_env env, napi_callback_info info) {
    Arguments<N> arguments;
    size_t count = N;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, arguments.value.data(), nullptr, &data);
    arguments.self = static_cast<PortObject*>(data);
    for (size_t i = 0; i < count && i < N; ++i) {
      if (napi_get_value_double(env, arguments.value[i], &arguments.number[i]) != napi_ok) arguments.number[i] = 0;
    }
    return arguments;
  }

  static uint32_t whole(double value) {
    return value >= 0 && value <= UINT32_MAX ? static_cast<uint32_t>(value) : UINT32_MAX;
  }

  static int64_t nanoseconds(double value, double unit, int64_t otherwise) {
    if (!(value > 0)) return otherwise;
    const double scaled = value * unit;
    return scaled >= 9e18 ? kNever : static_cast<int64_t>(scaled);
  }

  static napi_value number(napi_env env, double value) {
    napi_value result;
    napi_create_double(env, value, &result);
    return result;
  }
  static napi_value integer(napi_env env, int32_t value) {
    napi_value result;
    napi_create_int32(env, value, &result);
    return result;
  }
  static int32_t failure(Code code) { return -static_cast<int32_t>(code); }

  // (slot, generation, rows, priority, deadlineMs, timeoutUs, flags): 0 or -code.
  // deadlineMs < 0: none. flags: 1 staged, 2 explicit.
  static Submission submission(const std::array<double, 7>& n) {
    Submission s;
    s.slot = whole(n[0]);
    s.generation = whole(n[1]);
    s.rows = whole(n[2]);
    s.priority = whole(n[3]);
    s.deadline_in_ns = n[4] < 0 ? kNever : nanoseconds(n[4], 1e6, 0);
    s.timeout_in_ns = nanoseconds(n[5], 1e3, 0);
    const uint32_t flags = whole(n[6]);
    s.staged = (flags & 1) != 0;
    s.is_explicit = (flags & 2) != 0;
    return s;
  }

  static napi_value submit(napi_env env, napi_callback_info info) {
    const auto call = read<7>(env, info);
    return submitted(env, call.self, submission(call.number));
  }

  // (slot, generation): the same for one row in the slot's home place, at the default priority and with no deadline.
  static napi_value submit_home(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    Submission s;
    s.slot = whole(call.number[0]);
    s.generation = whole(call.number[1]);
    return submitted(env, call.self, s);
  }

  static napi_value submitted(napi_env env, PortObject* self, const Submission& s) {
    Port* port = self->port();
    if (port == nullptr) return integer(env, failure(Code::kModelClosed));
    const Code code = port->submit(s, self->message());
    if (code != Code::kOk) return integer(env, failure(code));
    self->keep_alive();
    if (port->polling()) self->loop_wake_->poll();
    return integer(env, 0);
  }

  // (limit, chunk, used): how many completions are in `taken`; small outputs are copied into `chunk` from `used` on.
  static napi_value take(napi_env env, napi_callback_info info) {
    const auto call = read<3>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, 0);
    // Asked for each time: it may have been detached meanwhile, since results that lie in it are the caller's.
    Port::ResultChunk chunk;
    void* data = nullptr;
    if (napi_get_arraybuffer_info(env, call.value[1], &data, &chunk.size) != napi_ok) chunk.size = 0;
    chunk.data = static_cast<std::byte*>(data);
    chunk.used = std::min<size_t>(chunk.size, whole(call.number[2]));
    const uint32_t count = port->take(whole(call.number[0]), chunk.size > 0 ? &chunk : nullptr);
    if (count == 0) call.self->keep_alive();
    return integer(env, static_cast<int32_t>(count));
  }

  static napi_value run_sync(napi_env env, napi_callback_info info) {
    const auto call = read<7>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, failure(Code::kModelClosed));
    const Code code = port->run_sync(submission(call.number), call.self->message());
    return integer(env, code == Code::kOk ? static_cast<int32_t>(port->sync_record()) : failure(code));
  }

  static napi_value release_sync(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    if (Port* port = call.self->port()) port->release_sync();
    return nullptr;
  }

  static constexpr size_t kMostPairs = 256;

  // A Uint32Array of slot, generation, slot, …: no pairs where `value` is something else.
  static std::span<uint32_t> pairs(napi_env env, napi_value value) {
    napi_typedarray_type type;
    size_t length = 0;
    void* data = nullptr;
    if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_uint32_array) {
      return {};
    }
    return {static_cast<uint32_t*>(data), std::min<size_t>(2 * kMostPairs, length) / 2 * 2};
  }

  // (pairs: Uint32Array): fills slot, generation, slot, … and returns how many slots.
  static napi_value lease(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, 0);
    const std::span<uint32_t> out = pairs(env, call.value[0]);
    std::array<uint32_t, kMostPairs> slots;
    std::array<uint32_t, kMostPairs> generations;
    const uint32_t count = port->lease(slots.data(), generations.data(), static_cast<uint32_t>(out.size() / 2));
    for (uint32_t i = 0; i < count; ++i) {
      out[2 * i] = slots[i];
      out[2 * i + 1] = generations[i];
    }
    return integer(env, static_cast<int32_t>(count));
  }

  // (pairs: Uint32Array, count): slots and generations as lease() gave them go back to the core.
  static napi_value give_back(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    Port* port = call.self->port();
    const std::span<const uint32_t> in = pairs(env, call.value[0]);
    if (port == nullptr || in.data() == nullptr) return nullptr;
    std::array<uint32_t, kMostPairs> slots;
    std::array<uint32_t, kMostPairs> generations;
    const size_t count = std::min<size_t>(in.size() / 2, whole(call.number[1]));
    for (size_t i = 0; i < count; ++i) {
      slots[i] = in[2 * i];
      generations[i] = in[2 * i + 1];
    }
    port->give_back(slots.data(), generations.data(), static_cast<uint32_t>(count));
    return nullptr;
  }

  // (slot, generation, input, bytes): offset of the extent in the slab, or -code.
  static napi_value allocate(napi_env env, napi_callback_info info) {
    const auto call = read<4>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, failure(Code::kModelClosed));
    uint64_t offset = 0;
    const double bytes = call.number[3];
    std::string* message = call.self->message();
    if (!(bytes >= 0) || bytes > 9e15) return integer(env, failure(Code::kOutOfMemory));
    const Code code = port->allocate(whole(call.number[0]), whole(call.number[1]), whole(call.number[2]),
                                     static_cast<uint64_t>(bytes), &offset, message);
    return code == Code::kOk ? number(env, static_cast<double>(offset)) : integer(env, failure(code));
  }

  static napi_value abandon(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    if (Port* port = call.self->port()) port->abandon(whole(call.number[0]), whole(call.number[1]));
    return nullptr;
  }

  static napi_value cancel(napi_env env, napi_callback_info info) {
    const auto call = read<3>(env, info);  // (slot, generation, late)
    Port* port = call.self->port();
    const bool cancelled =
        port != nullptr && port->cancel(whole(call.number[0]), whole(call.number[1]), call.number[2] != 0);
    call.self->keep_alive();
    napi_value result;
    napi_get_boolean(env, cancelled, &result);
    return result;
  }

  // (late)
  static napi_value turned_away(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    if (Port* port = call.self->port()) port->turned_away(call.number[0] != 0);
    return nullptr;
  }

  static napi_value release(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, -1);
    return number(env, port->release(whole(call.number[0]), whole(call.number[1])));
  }

  static napi_value message(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    const char* text = call.number[0] >= 0 && port != nullptr ? port->error_message(whole(call.number[0]))
                                                              : call.self->message_.c_str();
    napi_value result;
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
    return result;
  }

  // (record, output): a copy of an output that lies in the engine's own memory.
  static napi_value take_output(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    Port* port = call.self->port();
    const OutputRef* ref = port == nullptr ? nullptr : port->output(whole(call.number[0]), whole(call.number[1]));
    if (ref == nullptr) return nullptr;
    napi_value result;
    void* data = nullptr;
    if (napi_create_arraybuffer(env, ref->bytes, &data, &result) != napi_ok) return nullptr;
    if (ref->bytes > 0) std::memcpy(data, ref->data, ref->bytes);
    return result;
  }

  // A view on slab memory with an ArrayBuffer of its own, so that it can be taken away again by detach(). Null when the
  // environment is being terminated. `owner` is what the memory belongs to.
  static napi_value external(napi_env env, std::shared_ptr<void> owner, void* data, size_t bytes) {
    auto* keep = new (std::nothrow) std::shared_ptr<void>(std::move(owner));
    napi_value result;
    if (keep == nullptr) return nullptr;
    if (napi_create_external_arraybuffer(
            env, data, bytes, [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<void>*>(hint); },
            keep, &result) != napi_ok) {
      keep->reset();  // not deleted: the finalizer may come all the same, if the environment ended half-way
      return nullptr;
    }
    return result;
  }

  static napi_value wrap(napi_env env, napi_callback_info info) {
    const auto call = read<2>(env, info);
    const double offset = call.number[0];
    const double bytes = call.number[1];
    if (call.self->port() == nullptr || !(offset >= 0) || !(bytes >= 0) ||
        offset + bytes > static_cast<double>(call.self->slab_->size())) {
      return nullptr;
    }
    return external(env, call.self->slab_, call.self->slab_->data() + static_cast<uint64_t>(offset),
                    static_cast<size_t>(bytes));
  }

  static napi_value detach(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    napi_detach_arraybuffer(env, call.value[0]);
    return nullptr;
  }

  static napi_value share(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    return Napi::String::New(env, port == nullptr ? std::string() : port->core().share());
  }

  // 0: in flight only, 1: always, 2: never.
  static napi_value keep(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    call.self->keep_ = static_cast<PortObject::Keep>(whole(call.number[0]) % 3);
    if (call.self->port() != nullptr) call.self->keep_alive();
    return nullptr;
  }

  static napi_value in_flight(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    return number(env, port == nullptr ? 0 : static_cast<double>(port->in_flight()));
  }

  // (slot, generation, on)
  static napi_value pause(napi_env env, napi_callback_info info) {
    const auto call = read<3>(env, info);
    if (Port* port = call.self->port()) {
      bool on = false;
      napi_get_value_bool(env, call.value[2], &on);
      port->pause(whole(call.number[0]), whole(call.number[1]), on);
    }
    return nullptr;
  }

  // (microseconds): requests that take longer are kept; 0: those above the 99th percentile; < 0: none.
  static napi_value slow_limit(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    const double us = call.number[0];
    if (Port* port = call.self->port()) port->core().flight().set_limit(us < 0 ? -1 : nanoseconds(us, 1e3, 0));
    return nullptr;
  }

  // (since): see flight_to_js().
  static napi_value slow_requests(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return Napi::Float64Array::New(env, 0);
    const double since = call.number[0];
    return flight_to_js(env, port->core(), since > 0 && since < 9e15 ? static_cast<uint64_t>(since) : 0);
  }

  // (slot, generation, id, sequence: '' | string | bigint, flags: 1 start, 2 end; parameters: [name, value][]): 0 or
  // -code. What the next submission of this slot carries beside its tensors.
  static napi_value attributes(napi_env env, napi_callback_info info) {
    const auto call = read<6>(env, info);
    Port* port = call.self->port();
    if (port == nullptr) return integer(env, failure(Code::kModelClosed));
    auto attributes = std::make_unique<RequestAttributes>();
    const Napi::Value id(env, call.value[2]);
    const Napi::Value sequence(env, call.value[3]);
    const Napi::Value parameters(env, call.value[5]);
    if (id.IsString()) attributes->id = id.As<Napi::String>().Utf8Value();
    if (sequence.IsString()) attributes->sequence_text = sequence.As<Napi::String>().Utf8Value();
    bool lossless = false;
    if (sequence.IsBigInt()) attributes->sequence = sequence.As<Napi::BigInt>().Uint64Value(&lossless);
    attributes->sequence_start = (whole(call.number[4]) & 1) != 0;
    attributes->sequence_end = (whole(call.number[4]) & 2) != 0;
    if (parameters.IsArray()) {
      const Napi::Array list = parameters.As<Napi::Array>();
      for (uint32_t i = 0; i < std::min<uint32_t>(list.Length(), kMostParameters); ++i) {
        const Napi::Value pair = list.Get(i);
        if (pair.IsArray()) add_parameter(pair.As<Napi::Array>(), attributes.get());
      }
    }
    if (Napi::Env(env).IsExceptionPending()) return nullptr;  // a getter threw
    return integer(env,
                   failure(port->set_attributes(whole(call.number[0]), whole(call.number[1]), std::move(attributes))));
  }

  static constexpr uint32_t kMostParameters = 1024;

  static void add_parameter(const Napi::Array& pair, RequestAttributes* attributes) {
    using Kind = RequestAttributes::Parameter::Kind;
    const Napi::Value name = pair.Get(0u);
    const Napi::Value value = pair.Get(1u);
    if (!name.IsString()) return;
    RequestAttributes::Parameter parameter;
    parameter.name = name.As<Napi::String>().Utf8Value();
    bool lossless = false;
    if (value.IsString()) {
      parameter.text = value.As<Napi::String>().Utf8Value();
    } else if (value.IsBoolean()) {
      parameter.kind = Kind::kBool;
      parameter.integer = value.As<Napi::Boolean>().Value() ? 1 : 0;
    } else if (value.IsBigInt()) {
      parameter.kind = Kind::kInt;
      parameter.integer = value.As<Napi::BigInt>().Int64Value(&lossless);
    } else if (value.IsNumber()) {
      parameter.number = value.As<Napi::Number>().DoubleValue();
      const bool is_whole = std::trunc(parameter.number) == parameter.number && std::fabs(parameter.number) < 9e15;
      parameter.kind = is_whole ? Kind::kInt : Kind::kDouble;
      if (is_whole) parameter.integer = static_cast<int64_t>(parameter.number);
    }
    attributes->parameters.push_back(std::move(parameter));
  }

  // What was learned of latencies, as text for latencyTable of createPort(); '' without an slo.
  static napi_value latency_table(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    return Napi::String::New(env, port == nullptr ? std::string() : port->core().latency_table());
  }

  // See Port::predicted_ns().
  static napi_value predicted_ns(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    return number(env, port == nullptr ? 0 : static_cast<double>(port->predicted_ns()));
  }

  static napi_value figures_of_slo(napi_env env, napi_callback_info info) {
    const auto call = read<1>(env, info);
    Port* port = call.self->port();
    return port == nullptr ? Napi::Float64Array::New(env, 0) : slo_figures(env, *port);
  }

  // Neither an exception of Node-API nor a lack of memory may cross the C boundary.
  template <napi_callback call>
  static napi_value guarded(napi_env env, napi_callback_info info) {
    return Napi::details::WrapCallback(env, [&] { return or_out_of_memory(env, [&] { return call(env, info); }); });
  }

  static napi_value stats(napi_env env, napi_callback_info info);
  static napi_value totals(napi_env env, napi_callback_info info);
  static napi_value reset_stats(napi_env env, napi_callback_info info);
  static napi_value close(napi_env env, napi_callback_info info);

  static void add_function(Napi::Env env, Napi::Object object, PortObject* self, const char* name, napi_callback call) {
    napi_value function;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call, self, &function) != napi_ok ||
        napi_add_finalizer(
            env, function, self, [](napi_env, void* data, void*) { static_cast<PortObject*>(data)->drop(); }, nullptr,
            nullptr) != napi_ok) {
      throw Napi::Error::New(env);  // the environment is being terminated
    }
    ++self->users_;
    object.Set(name, Napi::Value(env, function));
  }
};

namespace {

// Waits on a worker thread until the core and its threads are gone.
class EndWaiter final : public Napi::AsyncWorker {
 public:
  EndWaiter(Napi::Env env, std::shared_ptr<CoreEnd> end)
      : Napi::AsyncWorker(env), end_(std::move(end)), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() { return deferred_.Promise(); }
  void Execute() override {
    std::unique_lock lock(end_->mutex);
    // Another environment may still use the model, or a run may take long: do not hold this thread for ever.
    end_->changed.wait_for(lock, std::chrono::seconds(5), [this] { return end_->done; });
  }
  void OnOK() override {
    if (can_run_js(Env())) deferred_.Resolve(Napi::Boolean::New(Env(), end_->done));
  }

 private:
  std::shared_ptr<CoreEnd> end_;
  Napi::Promise::Deferred deferred_;
};

}  // namespace

napi_value PortCalls::close(napi_env env, napi_callback_info info) {
  const auto call = read<1>(env, info);
  PortObject* self = call.self;
  Napi::Env napi(env);
  if (self->port_ == nullptr) {
    auto done = Napi::Promise::Deferred::New(napi);
    done.Resolve(napi.Undefined());
    return done.Promise();
  }
  const bool last = self->port_->core().last_port();
  self->close_native();
  self->slab_.reset();
  if (!last) {
    auto done = Napi::Promise::Deferred::New(napi);
    done.Resolve(napi.Undefined());
    return done.Promise();
  }
  auto waiter = std::make_unique<EndWaiter>(napi, self->end_);
  const Napi::Promise promise = waiter->promise();
  waiter->Queue();
  (void)waiter.release();  // it deletes itself when it has ended
  return promise;
}

napi_value PortCalls::stats(napi_env env, napi_callback_info info) {
  const auto call = read<1>(env, info);
  Port* port = call.self->port();
  if (port == nullptr) return Napi::Env(env).Undefined();
  return port_stats(env, port);
}

napi_value PortCalls::totals(napi_env env, napi_callback_info info) {
  const auto call = read<1>(env, info);
  Port* port = call.self->port();
  if (port == nullptr) return Napi::Env(env).Undefined();
  return port_totals(env, port, {env, call.value[0]});
}

napi_value PortCalls::reset_stats(napi_env env, napi_callback_info info) {
  const auto call = read<1>(env, info);
  Port* port = call.self->port();
  if (port == nullptr) return Napi::Env(env).Undefined();
  port->core().reset_stats();
  return nullptr;
}

Napi::Object make_port_object(Napi::Env env, PortObject* self) {
  Napi::Object object = Napi::Object::New(env);
  const struct {
    const char* name;
    napi_callback call;
  } functions[] = {
      {"submit", PortCalls::submit},
      {"submitHome", PortCalls::submit_home},
      {"take", PortCalls::take},
      {"runSync", PortCalls::run_sync},
      {"releaseSync", PortCalls::release_sync},
      {"lease", PortCalls::lease},
      {"giveBack", PortCalls::give_back},
      {"allocate", PortCalls::allocate},
      {"abandon", PortCalls::abandon},
      {"cancel", PortCalls::cancel},
      {"turnedAway", PortCalls::turned_away},
      {"release", PortCalls::release},
      {"pause", PortCalls::pause},
      {"attributes", PortCalls::guarded<PortCalls::attributes>},
      {"message", PortCalls::message},
      {"takeOutput", PortCalls::take_output},
      {"wrap", PortCalls::wrap},
      {"detach", PortCalls::detach},
      {"share", PortCalls::guarded<PortCalls::share>},
      {"keep", PortCalls::keep},
      {"inFlight", PortCalls::in_flight},
      {"slowLimit", PortCalls::slow_limit},
      {"slowRequests", PortCalls::guarded<PortCalls::slow_requests>},
      {"stats", PortCalls::guarded<PortCalls::stats>},
      {"latencyTable", PortCalls::guarded<PortCalls::latency_table>},
      {"predictedNs", PortCalls::predicted_ns},
      {"sloFigures", PortCalls::guarded<PortCalls::figures_of_slo>},
      {"totals", PortCalls::guarded<PortCalls::totals>},
      {"resetStats", PortCalls::guarded<PortCalls::reset_stats>},
      {"close", PortCalls::guarded<PortCalls::close>},
  };
  for (const auto& [name, call] : functions) PortCalls::add_function(env, object, self, name, call);
  Port* port = self->port();
  ModelCore& core = port->core();
  const auto memory = [&](void* data, size_t bytes) {
    napi_value buffer = PortCalls::external(env, port->memory(), data, bytes);
    if (buffer == nullptr) throw Napi::Error::New(env);
    return Napi::Value(env, buffer);
  };
  object.Set("slab",
             Napi::Value(env, PortCalls::external(env, core.slab_pointer(), core.slab().data(), core.slab().size())));
  object.Set("records", memory(port->records(), port->records_bytes()));
  object.Set("taken", memory(port->shown(), Port::kShown * sizeof(uint32_t)));
  object.Set("staging", memory(port->staging(), std::max<size_t>(1, core.spec().inputs.size()) * sizeof(StagedInput)));
  object.Set("stride", Napi::Number::New(env, static_cast<double>(record_stride(core.spec().outputs.size()))));
  object.Set("loop", Napi::Number::New(env, port->loop()));
  object.Set("slots", Napi::Number::New(env, core.slots()));
  object.Set("homeSlots", Napi::Number::New(env, core.home_slots()));
  Napi::Array homes = Napi::Array::New(env);
  for (uint32_t i = 0; core.home_slots() > 0 && i < core.spec().inputs.size(); ++i) {
    homes.Set(i, Napi::Number::New(env, static_cast<double>(core.home_offset(i))));
  }
  object.Set("homeOffsets", homes);
  object.Set("info", Napi::String::New(env, core.options().info));
  return object;
}

}  // namespace subten
