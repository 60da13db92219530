#include "test/triton_backend/fake_triton.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace subten::triton_backend {

uint64_t Input::bytes() const noexcept {
  uint64_t sum = 0;
  for (const std::string& buffer : buffers) sum += buffer.size();
  return sum;
}

std::string_view Request::text(const std::string& output) const {
  const std::vector<char>& data = *results.at(output).data;
  return {data.data(), data.size()};
}

std::vector<float> Request::floats(const std::string& output) const {
  const std::string_view bytes = text(output);
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace subten::triton_backend

namespace subten::test {

using namespace triton_backend;  // NOLINT(google-build-using-namespace)

namespace {

FakeCounts counts;

Error* make_error(ErrorCode code, const char* message) {
  ++counts.errors;
  return new Error{code, message};
}
Error* refuse(const char* message) { return make_error(ErrorCode::kInternal, message); }

void set_model_functions(TritonApi* api) {
  api->TRITONBACKEND_ApiVersion = [](uint32_t* major, uint32_t* minor) -> Error* {
    *major = 1;
    *minor = 19;
    return nullptr;
  };
  api->TRITONBACKEND_BackendArtifacts = [](Backend* backend, ArtifactType*, const char** folder) -> Error* {
    *folder = backend->folder.c_str();
    return nullptr;
  };
  api->TRITONBACKEND_BackendConfig = [](Backend* backend, Message** message) -> Error* {
    *message = &backend->config;
    return nullptr;
  };
  api->TRITONBACKEND_ModelName = [](Model* model, const char** name) -> Error* {
    *name = model->name.c_str();
    return nullptr;
  };
  api->TRITONBACKEND_ModelVersion = [](Model*, uint64_t* version) -> Error* {
    *version = 1;
    return nullptr;
  };
  api->TRITONBACKEND_ModelRepository = [](Model* model, ArtifactType*, const char** folder) -> Error* {
    *folder = model->folder.c_str();
    return nullptr;
  };
  api->TRITONBACKEND_ModelConfig = [](Model* model, uint32_t, Message** message) -> Error* {
    ++counts.messages;
    *message = new Message{model->config};
    return nullptr;
  };
  api->TRITONBACKEND_ModelAutoCompleteConfig = [](Model* model, bool* complete) -> Error* {
    *complete = model->complete;
    return nullptr;
  };
  api->TRITONBACKEND_ModelSetConfig = [](Model* model, uint32_t, Message* message) -> Error* {
    model->config = message->text;
    return nullptr;
  };
  api->TRITONBACKEND_ModelBackend = [](Model* model, Backend** backend) -> Error* {
    *backend = model->backend;
    return nullptr;
  };
  api->TRITONBACKEND_ModelState = [](Model* model, void** state) -> Error* {
    *state = model->state;
    return nullptr;
  };
  api->TRITONBACKEND_ModelSetState = [](Model* model, void* state) -> Error* {
    model->state = state;
    return nullptr;
  };
}

void set_instance_functions(TritonApi* api) {
  api->TRITONBACKEND_ModelInstanceName = [](ModelInstance*, const char** name) -> Error* {
    *name = "test_0";
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceKind = [](ModelInstance* instance, InstanceKind* kind) -> Error* {
    *kind = instance->kind;
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceDeviceId = [](ModelInstance* instance, int32_t* device) -> Error* {
    *device = instance->device;
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceModel = [](ModelInstance* instance, Model** model) -> Error* {
    *model = instance->model;
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceState = [](ModelInstance* instance, void** state) -> Error* {
    *state = instance->state;
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceSetState = [](ModelInstance* instance, void* state) -> Error* {
    instance->state = state;
    return nullptr;
  };
  api->TRITONBACKEND_ModelInstanceReportStatistics = [](ModelInstance* instance, Request* request, bool success,
                                                        uint64_t start, uint64_t compute_start, uint64_t compute_end,
                                                        uint64_t end) -> Error* {
    ++request->reports;
    ++(success ? instance->succeeded : instance->failed);
    const bool ordered = start <= compute_start && compute_start <= compute_end && compute_end <= end;
    return ordered ? nullptr : refuse("times out of order");
  };
  api->TRITONBACKEND_ModelInstanceReportBatchStatistics = [](ModelInstance* instance, uint64_t rows, uint64_t, uint64_t,
                                                             uint64_t, uint64_t) -> Error* {
    instance->batches.push_back(rows);
    return nullptr;
  };
}

void set_request_functions(TritonApi* api) {
  api->TRITONBACKEND_RequestIsCancelled = [](Request* request, bool* cancelled) -> Error* {
    *cancelled = request->cancelled;
    return nullptr;
  };
  api->TRITONBACKEND_RequestInputCount = [](Request* request, uint32_t* count) -> Error* {
    *count = static_cast<uint32_t>(request->inputs.size());
    return nullptr;
  };
  api->TRITONBACKEND_RequestInputByIndex = [](Request* request, uint32_t index, Input** input) -> Error* {
    *input = &request->inputs[index];
    return nullptr;
  };
  api->TRITONBACKEND_RequestOutputCount = [](Request* request, uint32_t* count) -> Error* {
    *count = static_cast<uint32_t>(request->outputs.size());
    return nullptr;
  };
  api->TRITONBACKEND_RequestOutputName = [](Request* request, uint32_t index, const char** name) -> Error* {
    *name = request->outputs[index].c_str();
    return nullptr;
  };
  api->TRITONBACKEND_RequestRelease = [](Request* request, uint32_t) -> Error* {
    ++request->releases;
    request->inputs.clear();  // whoever still reads them is found by ASan
    return nullptr;
  };
  api->TRITONBACKEND_InputProperties = [](Input* input, const char** name, ServerType* type, const int64_t** shape,
                                          uint32_t* rank, uint64_t* bytes, uint32_t* buffers) -> Error* {
    *name = input->name.c_str();
    *type = input->type;
    *shape = input->shape.data();
    *rank = static_cast<uint32_t>(input->shape.size());
    *bytes = input->bytes();
    *buffers = static_cast<uint32_t>(input->buffers.size());
    return nullptr;
  };
  api->TRITONBACKEND_InputBuffer = [](Input* input, uint32_t index, const void** data, uint64_t* bytes,
                                      ServerMemory* memory, int64_t* device) -> Error* {
    *data = input->buffers[index].data();
    *bytes = input->buffers[index].size();
    *memory = input->memory;
    *device = 0;
    return nullptr;
  };
}

void set_response_functions(TritonApi* api) {
  api->TRITONBACKEND_ResponseNew = [](Response** response, Request* request) -> Error* {
    if (request->refuse_response) return refuse("no response");
    ++counts.responses;
    *response = new Response{request, {}};
    return nullptr;
  };
  api->TRITONBACKEND_ResponseDelete = [](Response* response) -> Error* {
    --counts.responses;
    delete response;
    return nullptr;
  };
  api->TRITONBACKEND_ResponseOutput = [](Response* response, Output** output, const char* name, ServerType type,
                                         const int64_t* shape, uint32_t rank) -> Error* {
    if (response->outputs.contains(name)) return refuse("the output is there already");
    Output& made = response->outputs[name];
    made.name = name;
    made.type = type;
    made.shape.assign(shape, shape + rank);
    *output = &made;
    // Remembered for OutputBuffer, which is not told whose output it is.
    made.data = std::make_unique<std::vector<char>>(response->request->refuse_memory ? 1 : 0, '\0');
    if (response->request->output_memory == ServerMemory::kGpu) made.data->reserve(1);
    return nullptr;
  };
  api->TRITONBACKEND_OutputBuffer = [](Output* output, void** data, uint64_t bytes, ServerMemory* memory,
                                       int64_t* device) -> Error* {
    if (!output->data->empty()) return refuse("no memory for the output");
    *memory = output->data->capacity() > 0 ? ServerMemory::kGpu : ServerMemory::kCpu;
    output->data = std::make_unique<std::vector<char>>(bytes, '\x7f');
    *data = output->data->data();
    *device = 0;
    return nullptr;
  };
  api->TRITONBACKEND_ResponseSend = [](Response* response, uint32_t flags, Error* error) -> Error* {
    --counts.responses;
    Request& request = *response->request;
    ++request.responses;
    if (error != nullptr) request.error = std::make_unique<Error>(*error);
    request.results = std::move(response->outputs);
    delete response;
    return flags == kResponseFinal && request.releases == 0 ? nullptr
                                                            : refuse("sent too late, or not as the final one");
  };
}

void set_server_functions(TritonApi* api) {
  api->TRITONSERVER_ErrorNew = make_error;
  api->TRITONSERVER_ErrorDelete = [](Error* error) {
    --counts.errors;
    delete error;
  };
  api->TRITONSERVER_ErrorCode = [](Error* error) { return error->code; };
  api->TRITONSERVER_ErrorMessage = [](Error* error) { return error->message.c_str(); };
  api->TRITONSERVER_MessageNewFromSerializedJson = [](Message** message, const char* text, size_t bytes) -> Error* {
    ++counts.messages;
    *message = new Message{std::string(text, bytes)};
    return nullptr;
  };
  api->TRITONSERVER_MessageSerializeToJson = [](Message* message, const char** text, size_t* bytes) -> Error* {
    *text = message->text.data();
    *bytes = message->text.size();
    return nullptr;
  };
  api->TRITONSERVER_MessageDelete = [](Message* message) -> Error* {
    --counts.messages;
    delete message;
    return nullptr;
  };
  api->TRITONSERVER_LogMessage = [](LogLevel, const char*, int, const char*) -> Error* { return nullptr; };
  api->cudaMemcpy = [](void* to, const void* from, size_t bytes, int) {
    ++counts.gpu_copies;
    std::memcpy(to, from, bytes);
    return 0;
  };
}

}  // namespace

const TritonApi* fake_triton() {
  static const TritonApi api = [] {
    TritonApi made;
    set_model_functions(&made);
    set_instance_functions(&made);
    set_request_functions(&made);
    set_response_functions(&made);
    set_server_functions(&made);
    return made;
  }();
  return &api;
}

FakeCounts& fake_counts() { return counts; }

}  // namespace subten::test
