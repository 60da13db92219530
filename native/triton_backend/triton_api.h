// The part of Triton's backend API (TRITONBACKEND_* and a few TRITONSERVER_*) that our backends call.
//
// A backend is normally linked against a stub of the server's library, and the loader then finds the functions by that
// library's name, or among the global symbols. Neither holds everywhere: packages rename the library, and a process
// that embeds the server may keep its symbols to itself. So nothing is linked here: the server's library is whatever
// called us, and the functions are looked up in it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace subten::triton_backend {

// Opaque to us; made and released by the server.
struct Backend;
struct BackendAttribute;
struct Model;
struct ModelInstance;
struct Request;
struct Input;
struct Response;
struct ResponseFactory;
struct Output;
struct Error;
struct Message;

// 1.4 of the API: the first with batch statistics and attributes of a backend. Newer functions are optional below.
inline constexpr uint32_t kApiMajor = 1;
inline constexpr uint32_t kApiMinimumMinor = 4;

enum class ErrorCode : int32_t {
  kUnknown = 0,
  kInternal = 1,
  kNotFound = 2,
  kInvalidArgument = 3,
  kUnavailable = 4,
  kUnsupported = 5,
  kAlreadyExists = 6,
  kCancelled = 7
};
enum class ServerType : int32_t {
  kInvalid = 0,
  kBool = 1,
  kUint8 = 2,
  kUint16 = 3,
  kUint32 = 4,
  kUint64 = 5,
  kInt8 = 6,
  kInt16 = 7,
  kInt32 = 8,
  kInt64 = 9,
  kFp16 = 10,
  kFp32 = 11,
  kFp64 = 12,
  kBytes = 13,
  kBf16 = 14
};
enum class ServerMemory : int32_t { kCpu = 0, kPinned = 1, kGpu = 2 };
enum class InstanceKind : int32_t { kAuto = 0, kCpu = 1, kGpu = 2, kModel = 3 };
enum class LogLevel : int32_t { kInfo = 0, kWarning = 1, kError = 2, kVerbose = 3 };
enum class ArtifactType : int32_t { kFilesystem = 0 };

inline constexpr uint32_t kResponseFinal = 1;
inline constexpr uint32_t kReleaseAll = 1;
inline constexpr int kCudaCopyAnyDirection = 4;  // cudaMemcpyDefault

// Functions that return Error* return null on success; an error belongs to whoever gets it.
// X(result, prefix, name, parameters): the exported name is prefix_name.
#define SUBTEN_TRITON_REQUIRED(X)                                                                                     \
  X(Error*, TRITONBACKEND, ApiVersion, (uint32_t * major, uint32_t * minor))                                          \
  X(Error*, TRITONBACKEND, BackendArtifacts, (Backend*, ArtifactType*, const char** location))                        \
  X(Error*, TRITONBACKEND, BackendConfig, (Backend*, Message**))                                                      \
  X(Error*, TRITONBACKEND, ModelName, (Model*, const char**))                                                         \
  X(Error*, TRITONBACKEND, ModelVersion, (Model*, uint64_t*))                                                         \
  X(Error*, TRITONBACKEND, ModelRepository, (Model*, ArtifactType*, const char** location))                           \
  X(Error*, TRITONBACKEND, ModelConfig, (Model*, uint32_t config_version, Message**))                                 \
  X(Error*, TRITONBACKEND, ModelAutoCompleteConfig, (Model*, bool*))                                                  \
  X(Error*, TRITONBACKEND, ModelSetConfig, (Model*, uint32_t config_version, Message*))                               \
  X(Error*, TRITONBACKEND, ModelBackend, (Model*, Backend**))                                                         \
  X(Error*, TRITONBACKEND, ModelState, (Model*, void**))                                                              \
  X(Error*, TRITONBACKEND, ModelSetState, (Model*, void*))                                                            \
  X(Error*, TRITONBACKEND, ModelInstanceName, (ModelInstance*, const char**))                                         \
  X(Error*, TRITONBACKEND, ModelInstanceKind, (ModelInstance*, InstanceKind*))                                        \
  X(Error*, TRITONBACKEND, ModelInstanceDeviceId, (ModelInstance*, int32_t*))                                         \
  X(Error*, TRITONBACKEND, ModelInstanceModel, (ModelInstance*, Model**))                                             \
  X(Error*, TRITONBACKEND, ModelInstanceState, (ModelInstance*, void**))                                              \
  X(Error*, TRITONBACKEND, ModelInstanceSetState, (ModelInstance*, void*))                                            \
  X(Error*, TRITONBACKEND, ModelInstanceReportStatistics,                                                             \
    (ModelInstance*, Request*, bool success, uint64_t exec_start_ns, uint64_t compute_start_ns,                       \
     uint64_t compute_end_ns, uint64_t exec_end_ns))                                                                  \
  X(Error*, TRITONBACKEND, ModelInstanceReportBatchStatistics,                                                        \
    (ModelInstance*, uint64_t batch_size, uint64_t exec_start_ns, uint64_t compute_start_ns, uint64_t compute_end_ns, \
     uint64_t exec_end_ns))                                                                                           \
  X(Error*, TRITONBACKEND, RequestInputCount, (Request*, uint32_t*))                                                  \
  X(Error*, TRITONBACKEND, RequestInputByIndex, (Request*, uint32_t index, Input**))                                  \
  X(Error*, TRITONBACKEND, RequestOutputCount, (Request*, uint32_t*))                                                 \
  X(Error*, TRITONBACKEND, RequestOutputName, (Request*, uint32_t index, const char**))                               \
  X(Error*, TRITONBACKEND, RequestRelease, (Request*, uint32_t flags))                                                \
  X(Error*, TRITONBACKEND, InputProperties,                                                                           \
    (Input*, const char** name, ServerType*, const int64_t** shape, uint32_t* rank, uint64_t* bytes,                  \
     uint32_t* buffers))                                                                                              \
  X(Error*, TRITONBACKEND, InputBuffer,                                                                               \
    (Input*, uint32_t index, const void** data, uint64_t* bytes, ServerMemory*, int64_t* device))                     \
  X(Error*, TRITONBACKEND, ResponseNew, (Response**, Request*))                                                       \
  X(Error*, TRITONBACKEND, ResponseDelete, (Response*))                                                               \
  X(Error*, TRITONBACKEND, ResponseOutput,                                                                            \
    (Response*, Output**, const char* name, ServerType, const int64_t* shape, uint32_t rank))                         \
  /* `error` stays the caller's. */                                                                                   \
  X(Error*, TRITONBACKEND, ResponseSend, (Response*, uint32_t flags, Error * error))                                  \
  X(Error*, TRITONBACKEND, OutputBuffer, (Output*, void** data, uint64_t bytes, ServerMemory*, int64_t* device))      \
  X(Error*, TRITONSERVER, ErrorNew, (ErrorCode, const char* message))                                                 \
  X(void, TRITONSERVER, ErrorDelete, (Error*))                                                                        \
  X(ErrorCode, TRITONSERVER, ErrorCode, (Error*))                                                                     \
  X(const char*, TRITONSERVER, ErrorMessage, (Error*))                                                                \
  X(Error*, TRITONSERVER, MessageNewFromSerializedJson, (Message**, const char* text, size_t bytes))                  \
  X(Error*, TRITONSERVER, MessageSerializeToJson, (Message*, const char** text, size_t* bytes))                       \
  X(Error*, TRITONSERVER, MessageDelete, (Message*))                                                                  \
  X(Error*, TRITONSERVER, LogMessage, (LogLevel, const char* file, int line, const char* message))

// Null where the server (or the CUDA runtime beside it) does not have them.
#define SUBTEN_TRITON_OPTIONAL(X)                                                                      \
  X(Error*, TRITONBACKEND, RequestIsCancelled, (Request*, bool*))                                      \
  X(Error*, TRITONBACKEND, BackendAttributeAddPreferredInstanceGroup,                                  \
    (BackendAttribute*, InstanceKind, uint64_t count, const uint64_t* devices, uint64_t device_count)) \
  X(Error*, TRITONBACKEND, ResponseFactoryNew, (ResponseFactory**, Request*))                          \
  X(Error*, TRITONBACKEND, ResponseFactoryDelete, (ResponseFactory*))                                  \
  X(Error*, TRITONBACKEND, ResponseNewFromFactory, (Response**, ResponseFactory*))                     \
  X(Error*, TRITONBACKEND, ResponseFactorySendFlags, (ResponseFactory*, uint32_t flags))

// Functions keep the API's names, under the prefix that tells the two headers apart.
// NOLINTBEGIN(readability-identifier-naming,bugprone-macro-parentheses)
struct TritonApi {
#define SUBTEN_TRITON_MEMBER(result, prefix, name, parameters) result(*prefix##_##name) parameters = nullptr;
  SUBTEN_TRITON_REQUIRED(SUBTEN_TRITON_MEMBER)
  SUBTEN_TRITON_OPTIONAL(SUBTEN_TRITON_MEMBER)
#undef SUBTEN_TRITON_MEMBER
  int (*cudaMemcpy)(void* to, const void* from, size_t bytes, int direction) = nullptr;
};
// NOLINTEND(readability-identifier-naming,bugprone-macro-parentheses)

// The table, once one of the two below has set it; never changes after.
const TritonApi& api() noexcept;

// Looks the functions up in the library that `caller`, an address in its code, belongs to, then among the process's
// global symbols. Null when all required ones are there, else an error for the server that names one which is missing.
// Thread safe; later calls return at once.
Error* load_api(const void* caller) noexcept;

// For tests: a table of their own.
void set_api(const TritonApi* table) noexcept;

}  // namespace subten::triton_backend
