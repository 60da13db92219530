// The JS object of a port: functions that close over the native port, and the memory both sides share.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "executor/model_core.h"
#include "executor/port.h"
#include "node/loop_wake.h"

namespace subten {

class PortObject final : private LoopWake::Owner {
 public:
  // The object, or undefined with `status` set. `on_wake` is called on this thread when completions may be waiting.
  static Napi::Value create(Napi::Env env, const std::shared_ptr<ModelCore>& core, Napi::Function on_wake,
                            Status* status);

  Port* port() noexcept { return port_.get(); }

 private:
  friend struct PortCalls;

  static void wake(void* context) noexcept;
  void on_env_end() noexcept override { close_native(); }
  LoopWake::Look look() noexcept override;

  void close_native() noexcept;
  void keep_alive() noexcept;
  std::string* message() noexcept {
    message_.clear();
    return &message_;
  }
  void drop() noexcept;  // one JS object that referred to this is gone

  std::shared_ptr<Port> port_;
  std::shared_ptr<Slab> slab_;
  std::shared_ptr<CoreEnd> end_;
  LoopWake* loop_wake_ = nullptr;
  std::string message_;  // what the last refused call had to say
  uint32_t users_ = 0;
  bool held_ = false;  // the process stays alive for it now
  enum class Keep : uint8_t { kInFlight, kAlways, kNever } keep_ = Keep::kInFlight;
};

}  // namespace subten
