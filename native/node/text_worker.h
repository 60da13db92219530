// Work on the thread pool whose answer is text.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "node/values.h"

namespace subten {

// A promise of the text, or of { status, message }. Whoever derives from it sets one of the two in Execute().
class TextWorker : public Napi::AsyncWorker {
 public:
  // Queues `worker`, which deletes itself when it has ended.
  static Napi::Promise start(std::unique_ptr<TextWorker> worker) {
    const Napi::Promise promise = worker->deferred_.Promise();
    worker->Queue();
    (void)worker.release();
    return promise;
  }

  void OnOK() override {
    Napi::Env env = Env();
    if (!can_run_js(env)) return;  // the worker thread was terminated meanwhile
    finish();
    if (status_.is_ok()) {
      deferred_.Resolve(Napi::String::New(env, answer_));
    } else {
      deferred_.Resolve(to_js(env, status_));
    }
  }

 protected:
  explicit TextWorker(Napi::Env env) : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)) {}

  // On the environment's thread, before the promise is resolved.
  virtual void finish() {}

  std::string answer_;
  Status status_;

 private:
  Napi::Promise::Deferred deferred_;
};

}  // namespace subten
