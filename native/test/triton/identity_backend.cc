// A backend for tests: outputs are the inputs, in the order of the configuration. Its parameters, as strings:
//   delay_us  how long each execution takes; a request that is cancelled meanwhile ends as cancelled
//   parts     responses to a request of a decoupled model, each with all outputs (1 where it is left out)
//   fail      text: every request fails with it
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engines/common/json.h"
#include "metrics/clock.h"
#include "triton_backend/errors.h"
#include "triton_backend/triton_api.h"

#define SUBTEN_EXPORT extern "C" __attribute__((visibility("default")))

namespace subten::triton_backend {
namespace {

struct Identity {
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::chrono::microseconds delay{0};
  int64_t parts = 1;
  bool decoupled = false;
  std::string failure;
};

std::vector<std::string> names_of(const Json& config, const char* list) {
  std::vector<std::string> names;
  if (const Json* tensors = config.find(list); tensors != nullptr) {
    for (const Json& tensor : tensors->items) names.emplace_back(tensor.text_of("name"));
  }
  return names;
}

Error* read_config(Model* model, Identity* out) {
  Message* message = nullptr;
  const char* text = nullptr;
  size_t bytes = 0;
  if (Error* error = api().TRITONBACKEND_ModelConfig(model, 1, &message); error != nullptr) return error;
  const Owned<Message> owner(message);
  if (Error* error = api().TRITONSERVER_MessageSerializeToJson(message, &text, &bytes); error != nullptr) return error;
  Json config;
  parse_json({text, bytes}, &config);
  out->inputs = names_of(config, "input");
  out->outputs = names_of(config, "output");
  if (const Json* policy = config.find("model_transaction_policy"); policy != nullptr) {
    out->decoupled = policy->true_of("decoupled");
  }
  if (const Json* parameters = config.find("parameters"); parameters != nullptr) {
    for (const auto& [name, value] : parameters->members) {
      if (name == "delay_us") out->delay = std::chrono::microseconds(value.integer_of("string_value"));
      if (name == "parts") out->parts = value.integer_of("string_value", 1);
      if (name == "fail") out->failure = value.text_of("string_value");
    }
  }
  return nullptr;
}

// Copies every input that has an output at its place into the response.
Error* copy_all(const Identity& identity, Request* request, Response* response) {
  uint32_t count = 0;
  if (Error* error = api().TRITONBACKEND_RequestInputCount(request, &count); error != nullptr) return error;
  for (uint32_t index = 0; index < count; ++index) {
    Input* input = nullptr;
    const char* name = nullptr;
    ServerType type{};
    const int64_t* shape = nullptr;
    uint32_t rank = 0;
    uint64_t bytes = 0;
    uint32_t buffers = 0;
    if (Error* error = api().TRITONBACKEND_RequestInputByIndex(request, index, &input); error != nullptr) return error;
    if (Error* error = api().TRITONBACKEND_InputProperties(input, &name, &type, &shape, &rank, &bytes, &buffers);
        error != nullptr) {
      return error;
    }
    size_t place = 0;
    while (place < identity.inputs.size() && identity.inputs[place] != name) ++place;
    if (place >= identity.outputs.size()) continue;
    Output* output = nullptr;
    void* to = nullptr;
    ServerMemory memory = ServerMemory::kCpu;
    int64_t device = 0;
    if (Error* error =
            api().TRITONBACKEND_ResponseOutput(response, &output, identity.outputs[place].c_str(), type, shape, rank);
        error != nullptr) {
      return error;
    }
    if (Error* error = api().TRITONBACKEND_OutputBuffer(output, &to, bytes, &memory, &device); error != nullptr) {
      return error;
    }
    for (uint32_t buffer = 0; buffer < buffers; ++buffer) {
      const void* from = nullptr;
      uint64_t part = 0;
      if (Error* error = api().TRITONBACKEND_InputBuffer(input, buffer, &from, &part, &memory, &device);
          error != nullptr) {
        return error;
      }
      if (memory == ServerMemory::kGpu) {
        return api().TRITONSERVER_ErrorNew(ErrorCode::kUnsupported, "The identity backend copies CPU memory only.");
      }
      to = std::copy_n(static_cast<const char*>(from), part, static_cast<char*>(to));
    }
  }
  return nullptr;
}

bool cancelled(Request* request) {
  bool answer = false;
  if (api().TRITONBACKEND_RequestIsCancelled != nullptr) {
    log_error(api().TRITONBACKEND_RequestIsCancelled(request, &answer), "cancelled?");
  }
  return answer;
}

bool all_cancelled(Request** requests, uint32_t count) {
  for (uint32_t index = 0; index < count; ++index) {
    if (!cancelled(requests[index])) return false;
  }
  return true;
}

void send(Response* response, uint32_t flags, Error* error) {
  const Owned<Error> owner(error);
  log_error(api().TRITONBACKEND_ResponseSend(response, flags, error), "send");
}

// True when the request succeeded.
bool answer(const Identity& identity, Request* request) {
  if (!identity.decoupled) {
    Response* response = nullptr;
    log_error(api().TRITONBACKEND_ResponseNew(&response, request), "response");
    Error* error = nullptr;
    if (cancelled(request)) {
      error = api().TRITONSERVER_ErrorNew(ErrorCode::kCancelled, "The request was cancelled.");
    } else if (!identity.failure.empty()) {
      error = api().TRITONSERVER_ErrorNew(ErrorCode::kInternal, identity.failure.c_str());
    } else {
      error = copy_all(identity, request, response);
    }
    const bool success = error == nullptr;
    send(response, kResponseFinal, error);
    return success;
  }
  ResponseFactory* factory = nullptr;
  log_error(api().TRITONBACKEND_ResponseFactoryNew(&factory, request), "factory");
  for (int64_t part = 0; part < identity.parts && !cancelled(request); ++part) {
    Response* response = nullptr;
    log_error(api().TRITONBACKEND_ResponseNewFromFactory(&response, factory), "part");
    send(response, 0, copy_all(identity, request, response));
  }
  log_error(api().TRITONBACKEND_ResponseFactorySendFlags(factory, kResponseFinal), "final");
  log_error(api().TRITONBACKEND_ResponseFactoryDelete(factory), "factory");
  return true;
}

}  // namespace
}  // namespace subten::triton_backend

using namespace subten::triton_backend;  // NOLINT(google-build-using-namespace): the exports stand outside

// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
SUBTEN_EXPORT Error* TRITONBACKEND_Initialize(Backend* /*backend*/) { return load_api(__builtin_return_address(0)); }

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInitialize(Model* model) {
  auto identity = std::make_unique<Identity>();
  if (Error* error = read_config(model, identity.get()); error != nullptr) return error;
  return api().TRITONBACKEND_ModelSetState(model, identity.release());
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelFinalize(Model* model) {
  void* state = nullptr;
  if (Error* error = api().TRITONBACKEND_ModelState(model, &state); error != nullptr) return error;
  const std::unique_ptr<Identity> identity(static_cast<Identity*>(state));
  return nullptr;
}

SUBTEN_EXPORT Error* TRITONBACKEND_ModelInstanceExecute(ModelInstance* instance, Request** requests, uint32_t count) {
  Model* model = nullptr;
  void* state = nullptr;
  if (Error* error = api().TRITONBACKEND_ModelInstanceModel(instance, &model); error != nullptr) return error;
  if (Error* error = api().TRITONBACKEND_ModelState(model, &state); error != nullptr) return error;
  const auto& identity = *static_cast<const Identity*>(state);

  const auto now = [] { return static_cast<uint64_t>(subten::monotonic_ns()); };
  const uint64_t start = now();
  const auto end = std::chrono::steady_clock::now() + identity.delay;
  while (std::chrono::steady_clock::now() < end && !all_cancelled(requests, count)) {
    std::this_thread::sleep_for(std::min<std::chrono::microseconds>(identity.delay, std::chrono::milliseconds(1)));
  }
  const uint64_t computed = now();
  for (uint32_t index = 0; index < count; ++index) {
    const bool success = answer(identity, requests[index]);
    log_error(api().TRITONBACKEND_ModelInstanceReportStatistics(instance, requests[index], success, start, start,
                                                                computed, now()),
              "statistics");
    log_error(api().TRITONBACKEND_RequestRelease(requests[index], kReleaseAll), "release");
  }
  log_error(api().TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, count, start, start, computed, now()),
            "statistics");
  return nullptr;
}
// NOLINTEND(readability-identifier-naming)
