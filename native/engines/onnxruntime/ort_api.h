// The part of ONNX Runtime's C API that this engine calls.
//
// ONNX Runtime publishes one table of function pointers that only ever grows at its end, so a function is known by its
// position. We declare the functions we call at their positions and fill the gaps; the static_asserts below pin each
// anchor to the published order, and library.cc checks the table against a tiny model when the library is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace subten {

// The versions of the table that are asked for, the first that the library has. A version is the minor version of the
// library that brought it. No function declared below is younger than the oldest: the table's size is checked.
inline constexpr uint32_t kOrtApiVersions[] = {30, 24};
inline constexpr uint32_t kOldestOrtApi = 24;
inline constexpr size_t kOldestOrtApiFunctions = 415;

// Opaque to us; made and released by the library.
struct OrtEnv;
struct OrtStatus;
struct OrtSession;
struct OrtSessionOptions;
struct OrtRunOptions;
struct OrtValue;
struct OrtMemoryInfo;
struct OrtAllocator;
struct OrtTypeInfo;
struct OrtTensorTypeAndShapeInfo;
struct OrtModelMetadata;
struct OrtThreadingOptions;
struct OrtCudaOptions;      // OrtCUDAProviderOptionsV2
struct OrtTensorrtOptions;  // OrtTensorRTProviderOptionsV2
struct OrtIoBinding;
struct OrtEpAssignedSubgraph;
struct OrtEpAssignedNode;

enum class OrtErrorCode : int32_t { kOk = 0, kFail = 1, kInvalidArgument = 2, kNoSuchFile = 3 };
enum class OrtLoggingLevel : int32_t { kVerbose = 0, kInfo = 1, kWarning = 2, kError = 3, kFatal = 4 };
enum class OrtExecutionMode : int32_t { kSequential = 0, kParallel = 1 };
enum class OrtOptimizationLevel : int32_t { kDisable = 0, kBasic = 1, kExtended = 2, kAll = 99 };
enum class OrtAllocatorType : int32_t { kDevice = 0, kArena = 1 };
enum class OrtMemType : int32_t { kDefault = 0 };
enum class OrtValueKind : int32_t {
  kUnknown = 0,
  kTensor = 1,
  kSequence = 2,
  kMap = 3,
  kOpaque = 4,
  kSparseTensor = 5,
  kOptional = 6
};
enum class OrtElementType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kUint2 = 24,
  kInt2 = 25
};

using OrtLoggingFunction = void (*)(void* param, OrtLoggingLevel severity, const char* category, const char* log_id,
                                    const char* code_location, const char* message);
using OrtThreadWorker = void (*)(void* worker_param);
// The handle is ours; null tells the library that no thread could be made.
using OrtCreateThread = const void* (*)(void* options, OrtThreadWorker worker, void* worker_param);
using OrtJoinThread = void (*)(const void* handle);

using OrtSessionCount = OrtStatus* (*)(const OrtSession*, size_t* count);
using OrtSessionTypeInfo = OrtStatus* (*)(const OrtSession*, size_t index, OrtTypeInfo** info);
using OrtSessionName = OrtStatus* (*)(const OrtSession*, size_t index, OrtAllocator*, char** name);
using OrtMetadataText = OrtStatus* (*)(const OrtModelMetadata*, OrtAllocator*, char** text);

// Functions keep the names of the published table, so that they can be looked up there. Those that return OrtStatus*
// return null on success; a status belongs to the caller, who releases it.
// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
struct OrtApi {
  void* gap_0[1];
  OrtErrorCode (*GetErrorCode)(const OrtStatus*);
  const char* (*GetErrorMessage)(const OrtStatus*);  // owned by the status
  void* gap_3[4];
  OrtStatus* (*CreateSession)(const OrtEnv*, const char* path, const OrtSessionOptions*, OrtSession**);
  OrtStatus* (*CreateSessionFromArray)(const OrtEnv*, const void* model, size_t bytes, const OrtSessionOptions*,
                                       OrtSession**);
  // Null entries of `outputs` are allocated by the library; the others are written to.
  OrtStatus* (*Run)(OrtSession*, const OrtRunOptions*, const char* const* input_names, const OrtValue* const* inputs,
                    size_t input_count, const char* const* output_names, size_t output_count, OrtValue** outputs);
  OrtStatus* (*CreateSessionOptions)(OrtSessionOptions**);
  void* gap_11[2];
  OrtStatus* (*SetSessionExecutionMode)(OrtSessionOptions*, OrtExecutionMode);
  void* gap_14[2];
  OrtStatus* (*EnableMemPattern)(OrtSessionOptions*);
  OrtStatus* (*DisableMemPattern)(OrtSessionOptions*);
  OrtStatus* (*EnableCpuMemArena)(OrtSessionOptions*);
  OrtStatus* (*DisableCpuMemArena)(OrtSessionOptions*);
  OrtStatus* (*SetSessionLogId)(OrtSessionOptions*, const char* log_id);
  void* gap_21[1];
  OrtStatus* (*SetSessionLogSeverityLevel)(OrtSessionOptions*, int level);
  OrtStatus* (*SetSessionGraphOptimizationLevel)(OrtSessionOptions*, OrtOptimizationLevel);
  OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int threads);
  OrtStatus* (*SetInterOpNumThreads)(OrtSessionOptions*, int threads);
  void* gap_26[4];
  OrtSessionCount SessionGetInputCount;
  OrtSessionCount SessionGetOutputCount;
  OrtSessionCount SessionGetOverridableInitializerCount;
  OrtSessionTypeInfo SessionGetInputTypeInfo;
  OrtSessionTypeInfo SessionGetOutputTypeInfo;
  OrtSessionTypeInfo SessionGetOverridableInitializerTypeInfo;
  OrtSessionName SessionGetInputName;
  OrtSessionName SessionGetOutputName;
  OrtSessionName SessionGetOverridableInitializerName;
  OrtStatus* (*CreateRunOptions)(OrtRunOptions**);
  void* gap_40[6];
  OrtStatus* (*RunOptionsSetTerminate)(OrtRunOptions*);
  OrtStatus* (*RunOptionsUnsetTerminate)(OrtRunOptions*);
  OrtStatus* (*CreateTensorAsOrtValue)(OrtAllocator*, const int64_t* shape, size_t rank, OrtElementType, OrtValue**);
  // The value does not own `data`, which must outlive it.
  OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void* data, size_t bytes, const int64_t* shape,
                                               size_t rank, OrtElementType, OrtValue**);
  void* gap_50[1];
  OrtStatus* (*GetTensorMutableData)(OrtValue*, void** data);
  void* gap_52[1];
  OrtStatus* (*GetStringTensorDataLength)(const OrtValue*, size_t* bytes);
  OrtStatus* (*GetStringTensorContent)(const OrtValue*, void* text, size_t bytes, size_t* offsets, size_t count);
  OrtStatus* (*CastTypeInfoToTensorInfo)(const OrtTypeInfo*, const OrtTensorTypeAndShapeInfo**);  // borrowed
  OrtStatus* (*GetOnnxTypeFromTypeInfo)(const OrtTypeInfo*, OrtValueKind*);
  void* gap_57[3];
  OrtStatus* (*GetTensorElementType)(const OrtTensorTypeAndShapeInfo*, OrtElementType*);
  OrtStatus* (*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo*, size_t*);
  OrtStatus* (*GetDimensions)(const OrtTensorTypeAndShapeInfo*, int64_t* dims, size_t rank);
  OrtStatus* (*GetSymbolicDimensions)(const OrtTensorTypeAndShapeInfo*, const char** names, size_t rank);  // borrowed
  void* gap_64[4];
  // `name`: "Cpu" or "Cuda".
  OrtStatus* (*CreateMemoryInfo)(const char* name, OrtAllocatorType, int device, OrtMemType, OrtMemoryInfo**);
  OrtStatus* (*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo**);
  void* gap_70[6];
  OrtStatus* (*AllocatorFree)(OrtAllocator*, void*);
  void* gap_77[1];
  OrtStatus* (*GetAllocatorWithDefaultOptions)(OrtAllocator**);  // owned by the library
  void* gap_79[14];
  void (*ReleaseStatus)(OrtStatus*);
  void (*ReleaseMemoryInfo)(OrtMemoryInfo*);
  void (*ReleaseSession)(OrtSession*);
  void (*ReleaseValue)(OrtValue*);
  void (*ReleaseRunOptions)(OrtRunOptions*);
  void (*ReleaseTypeInfo)(OrtTypeInfo*);
  void* gap_99[1];
  void (*ReleaseSessionOptions)(OrtSessionOptions*);
  void* gap_101[10];
  OrtStatus* (*SessionGetModelMetadata)(const OrtSession*, OrtModelMetadata**);
  OrtMetadataText ModelMetadataGetProducerName;
  OrtMetadataText ModelMetadataGetGraphName;
  OrtMetadataText ModelMetadataGetDomain;
  OrtMetadataText ModelMetadataGetDescription;
  OrtStatus* (*ModelMetadataLookupCustomMetadataMap)(const OrtModelMetadata*, OrtAllocator*, const char* key,
                                                     char** value);
  OrtStatus* (*ModelMetadataGetVersion)(const OrtModelMetadata*, int64_t*);
  void (*ReleaseModelMetadata)(OrtModelMetadata*);
  void* gap_119[1];
  OrtStatus* (*DisablePerSessionThreads)(OrtSessionOptions*);
  OrtStatus* (*CreateThreadingOptions)(OrtThreadingOptions**);
  void (*ReleaseThreadingOptions)(OrtThreadingOptions*);
  OrtStatus* (*ModelMetadataGetCustomMetadataMapKeys)(const OrtModelMetadata*, OrtAllocator*, char*** keys,
                                                      int64_t* count);
  void* gap_124[6];
  OrtStatus* (*AddSessionConfigEntry)(OrtSessionOptions*, const char* key, const char* value);
  void* gap_131[2];
  OrtStatus* (*RunWithBinding)(OrtSession*, const OrtRunOptions*, const OrtIoBinding*);
  OrtStatus* (*CreateIoBinding)(OrtSession*, OrtIoBinding**);
  void (*ReleaseIoBinding)(OrtIoBinding*);
  // The value must outlive the binding.
  OrtStatus* (*BindInput)(OrtIoBinding*, const char* name, const OrtValue*);
  OrtStatus* (*BindOutput)(OrtIoBinding*, const char* name, const OrtValue*);
  void* gap_138[9];
  OrtStatus* (*SetGlobalIntraOpNumThreads)(OrtThreadingOptions*, int threads);
  OrtStatus* (*SetGlobalInterOpNumThreads)(OrtThreadingOptions*, int threads);
  OrtStatus* (*SetGlobalSpinControl)(OrtThreadingOptions*, int allow_spinning);
  void* gap_150[1];
  OrtStatus* (*CreateEnvWithCustomLoggerAndGlobalThreadPools)(OrtLoggingFunction, void* logger_param, OrtLoggingLevel,
                                                              const char* log_id, const OrtThreadingOptions*, OrtEnv**);
  void* gap_152[6];
  OrtMetadataText ModelMetadataGetGraphDescription;
  void* gap_159[6];
  OrtStatus* (*AddRunConfigEntry)(OrtRunOptions*, const char* key, const char* value);
  void* gap_166[4];
  // The four of TensorRT answer with an error in a library that was built without it.
  OrtStatus* (*SessionOptionsAppendExecutionProvider_TensorRT_V2)(OrtSessionOptions*, const OrtTensorrtOptions*);
  OrtStatus* (*CreateTensorRTProviderOptions)(OrtTensorrtOptions**);
  OrtStatus* (*UpdateTensorRTProviderOptions)(OrtTensorrtOptions*, const char* const* keys, const char* const* values,
                                              size_t count);
  void* gap_173[1];
  void (*ReleaseTensorRTProviderOptions)(OrtTensorrtOptions*);
  void* gap_175[21];
  OrtStatus* (*SessionOptionsSetCustomCreateThreadFn)(OrtSessionOptions*, OrtCreateThread);
  void* gap_197[1];
  OrtStatus* (*SessionOptionsSetCustomJoinThreadFn)(OrtSessionOptions*, OrtJoinThread);
  OrtStatus* (*SetGlobalCustomCreateThreadFn)(OrtThreadingOptions*, OrtCreateThread);
  void* gap_200[1];
  OrtStatus* (*SetGlobalCustomJoinThreadFn)(OrtThreadingOptions*, OrtJoinThread);
  void* gap_202[2];
  // The four of CUDA answer with an error in a library that was built without it.
  OrtStatus* (*SessionOptionsAppendExecutionProvider_CUDA_V2)(OrtSessionOptions*, const OrtCudaOptions*);
  OrtStatus* (*CreateCUDAProviderOptions)(OrtCudaOptions**);
  OrtStatus* (*UpdateCUDAProviderOptions)(OrtCudaOptions*, const char* const* keys, const char* const* values,
                                          size_t count);
  void* gap_207[1];
  void (*ReleaseCUDAProviderOptions)(OrtCudaOptions*);
  void* gap_209[7];
  // Providers by name that are built as libraries of their own, with options by their own names.
  OrtStatus* (*SessionOptionsAppendExecutionProvider)(OrtSessionOptions*, const char* provider, const char* const* keys,
                                                      const char* const* values, size_t count);
  void* gap_217[35];
  // Makes element `index` of a string tensor `bytes` long; the caller writes it. Unlike FillStringTensor it takes NULs.
  OrtStatus* (*GetResizedStringTensorElementBuffer)(OrtValue*, size_t index, size_t bytes, char** buffer);
  void* gap_253[137];
  bool (*TensorTypeAndShape_HasShape)(const OrtTensorTypeAndShapeInfo*);
  void* gap_391[16];
  // The four of the assignment of nodes point into the session.
  OrtStatus* (*Session_GetEpGraphAssignmentInfo)(const OrtSession*, const OrtEpAssignedSubgraph* const** graphs,
                                                 size_t* count);
  OrtStatus* (*EpAssignedSubgraph_GetEpName)(const OrtEpAssignedSubgraph*, const char** name);
  OrtStatus* (*EpAssignedSubgraph_GetNodes)(const OrtEpAssignedSubgraph*, const OrtEpAssignedNode* const** nodes,
                                            size_t* count);
  void* gap_410[2];
  OrtStatus* (*EpAssignedNode_GetOperatorType)(const OrtEpAssignedNode*, const char** type);
  void* gap_413[1];
  // `shape` points into the value.
  OrtStatus* (*GetTensorElementTypeAndShapeDataReference)(const OrtValue*, OrtElementType*, const int64_t** shape,
                                                          size_t* rank);
};

struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};
// NOLINTEND(readability-identifier-naming)
using OrtGetApiBaseFunction = const OrtApiBase* (*)();

static_assert(sizeof(OrtApi) <= kOldestOrtApiFunctions * sizeof(void*), "younger than the oldest library we take");

#define SUBTEN_ORT_POSITION(function, position) \
  static_assert(offsetof(OrtApi, function) == (position) * sizeof(void*), #function)
SUBTEN_ORT_POSITION(GetErrorCode, 1);
SUBTEN_ORT_POSITION(GetErrorMessage, 2);
SUBTEN_ORT_POSITION(CreateSession, 7);
SUBTEN_ORT_POSITION(CreateSessionFromArray, 8);
SUBTEN_ORT_POSITION(Run, 9);
SUBTEN_ORT_POSITION(CreateSessionOptions, 10);
SUBTEN_ORT_POSITION(SetSessionExecutionMode, 13);
SUBTEN_ORT_POSITION(EnableMemPattern, 16);
SUBTEN_ORT_POSITION(DisableMemPattern, 17);
SUBTEN_ORT_POSITION(EnableCpuMemArena, 18);
SUBTEN_ORT_POSITION(DisableCpuMemArena, 19);
SUBTEN_ORT_POSITION(SetSessionLogId, 20);
SUBTEN_ORT_POSITION(SetSessionLogSeverityLevel, 22);
SUBTEN_ORT_POSITION(SetSessionGraphOptimizationLevel, 23);
SUBTEN_ORT_POSITION(SetIntraOpNumThreads, 24);
SUBTEN_ORT_POSITION(SetInterOpNumThreads, 25);
SUBTEN_ORT_POSITION(SessionGetInputCount, 30);
SUBTEN_ORT_POSITION(SessionGetOutputCount, 31);
SUBTEN_ORT_POSITION(SessionGetOverridableInitializerCount, 32);
SUBTEN_ORT_POSITION(SessionGetInputTypeInfo, 33);
SUBTEN_ORT_POSITION(SessionGetOutputTypeInfo, 34);
SUBTEN_ORT_POSITION(SessionGetOverridableInitializerTypeInfo, 35);
SUBTEN_ORT_POSITION(SessionGetInputName, 36);
SUBTEN_ORT_POSITION(SessionGetOutputName, 37);
SUBTEN_ORT_POSITION(SessionGetOverridableInitializerName, 38);
SUBTEN_ORT_POSITION(CreateRunOptions, 39);
SUBTEN_ORT_POSITION(RunOptionsSetTerminate, 46);
SUBTEN_ORT_POSITION(RunOptionsUnsetTerminate, 47);
SUBTEN_ORT_POSITION(CreateTensorAsOrtValue, 48);
SUBTEN_ORT_POSITION(CreateTensorWithDataAsOrtValue, 49);
SUBTEN_ORT_POSITION(GetTensorMutableData, 51);
SUBTEN_ORT_POSITION(GetStringTensorDataLength, 53);
SUBTEN_ORT_POSITION(GetStringTensorContent, 54);
SUBTEN_ORT_POSITION(CastTypeInfoToTensorInfo, 55);
SUBTEN_ORT_POSITION(GetOnnxTypeFromTypeInfo, 56);
SUBTEN_ORT_POSITION(GetTensorElementType, 60);
SUBTEN_ORT_POSITION(GetDimensionsCount, 61);
SUBTEN_ORT_POSITION(GetDimensions, 62);
SUBTEN_ORT_POSITION(GetSymbolicDimensions, 63);
SUBTEN_ORT_POSITION(CreateMemoryInfo, 68);
SUBTEN_ORT_POSITION(CreateCpuMemoryInfo, 69);
SUBTEN_ORT_POSITION(AllocatorFree, 76);
SUBTEN_ORT_POSITION(GetAllocatorWithDefaultOptions, 78);
SUBTEN_ORT_POSITION(ReleaseStatus, 93);
SUBTEN_ORT_POSITION(ReleaseMemoryInfo, 94);
SUBTEN_ORT_POSITION(ReleaseSession, 95);
SUBTEN_ORT_POSITION(ReleaseValue, 96);
SUBTEN_ORT_POSITION(ReleaseRunOptions, 97);
SUBTEN_ORT_POSITION(ReleaseTypeInfo, 98);
SUBTEN_ORT_POSITION(ReleaseSessionOptions, 100);
SUBTEN_ORT_POSITION(SessionGetModelMetadata, 111);
SUBTEN_ORT_POSITION(ModelMetadataGetProducerName, 112);
SUBTEN_ORT_POSITION(ModelMetadataGetGraphName, 113);
SUBTEN_ORT_POSITION(ModelMetadataGetDomain, 114);
SUBTEN_ORT_POSITION(ModelMetadataGetDescription, 115);
SUBTEN_ORT_POSITION(ModelMetadataLookupCustomMetadataMap, 116);
SUBTEN_ORT_POSITION(ModelMetadataGetVersion, 117);
SUBTEN_ORT_POSITION(ReleaseModelMetadata, 118);
SUBTEN_ORT_POSITION(DisablePerSessionThreads, 120);
SUBTEN_ORT_POSITION(CreateThreadingOptions, 121);
SUBTEN_ORT_POSITION(ReleaseThreadingOptions, 122);
SUBTEN_ORT_POSITION(ModelMetadataGetCustomMetadataMapKeys, 123);
SUBTEN_ORT_POSITION(AddSessionConfigEntry, 130);
SUBTEN_ORT_POSITION(RunWithBinding, 133);
SUBTEN_ORT_POSITION(CreateIoBinding, 134);
SUBTEN_ORT_POSITION(ReleaseIoBinding, 135);
SUBTEN_ORT_POSITION(BindInput, 136);
SUBTEN_ORT_POSITION(BindOutput, 137);
SUBTEN_ORT_POSITION(SetGlobalIntraOpNumThreads, 147);
SUBTEN_ORT_POSITION(SetGlobalInterOpNumThreads, 148);
SUBTEN_ORT_POSITION(SetGlobalSpinControl, 149);
SUBTEN_ORT_POSITION(CreateEnvWithCustomLoggerAndGlobalThreadPools, 151);
SUBTEN_ORT_POSITION(ModelMetadataGetGraphDescription, 158);
SUBTEN_ORT_POSITION(AddRunConfigEntry, 165);
SUBTEN_ORT_POSITION(SessionOptionsAppendExecutionProvider_TensorRT_V2, 170);
SUBTEN_ORT_POSITION(CreateTensorRTProviderOptions, 171);
SUBTEN_ORT_POSITION(UpdateTensorRTProviderOptions, 172);
SUBTEN_ORT_POSITION(ReleaseTensorRTProviderOptions, 174);
SUBTEN_ORT_POSITION(SessionOptionsSetCustomCreateThreadFn, 196);
SUBTEN_ORT_POSITION(SessionOptionsSetCustomJoinThreadFn, 198);
SUBTEN_ORT_POSITION(SetGlobalCustomCreateThreadFn, 199);
SUBTEN_ORT_POSITION(SetGlobalCustomJoinThreadFn, 201);
SUBTEN_ORT_POSITION(SessionOptionsAppendExecutionProvider_CUDA_V2, 204);
SUBTEN_ORT_POSITION(CreateCUDAProviderOptions, 205);
SUBTEN_ORT_POSITION(UpdateCUDAProviderOptions, 206);
SUBTEN_ORT_POSITION(ReleaseCUDAProviderOptions, 208);
SUBTEN_ORT_POSITION(SessionOptionsAppendExecutionProvider, 216);
SUBTEN_ORT_POSITION(GetResizedStringTensorElementBuffer, 252);
SUBTEN_ORT_POSITION(TensorTypeAndShape_HasShape, 390);
SUBTEN_ORT_POSITION(Session_GetEpGraphAssignmentInfo, 407);
SUBTEN_ORT_POSITION(EpAssignedSubgraph_GetEpName, 408);
SUBTEN_ORT_POSITION(EpAssignedSubgraph_GetNodes, 409);
SUBTEN_ORT_POSITION(EpAssignedNode_GetOperatorType, 412);
SUBTEN_ORT_POSITION(GetTensorElementTypeAndShapeDataReference, 414);
#undef SUBTEN_ORT_POSITION

// The table of the loaded library, set by library.cc before anything else of the engine runs; never changes after.
const OrtApi& ort() noexcept;

// Owners of the library's objects.
struct OrtRelease {
  void operator()(OrtStatus* status) const noexcept { ort().ReleaseStatus(status); }
  void operator()(OrtMemoryInfo* info) const noexcept { ort().ReleaseMemoryInfo(info); }
  void operator()(OrtSession* session) const noexcept { ort().ReleaseSession(session); }
  void operator()(OrtValue* value) const noexcept { ort().ReleaseValue(value); }
  void operator()(OrtRunOptions* options) const noexcept { ort().ReleaseRunOptions(options); }
  void operator()(OrtTypeInfo* info) const noexcept { ort().ReleaseTypeInfo(info); }
  void operator()(OrtSessionOptions* options) const noexcept { ort().ReleaseSessionOptions(options); }
  void operator()(OrtModelMetadata* metadata) const noexcept { ort().ReleaseModelMetadata(metadata); }
  void operator()(OrtIoBinding* binding) const noexcept { ort().ReleaseIoBinding(binding); }
  void operator()(OrtCudaOptions* options) const noexcept { ort().ReleaseCUDAProviderOptions(options); }
  void operator()(OrtTensorrtOptions* options) const noexcept { ort().ReleaseTensorRTProviderOptions(options); }
  void operator()(OrtThreadingOptions* options) const noexcept { ort().ReleaseThreadingOptions(options); }
};
template <typename T>
using OrtOwned = std::unique_ptr<T, OrtRelease>;

}  // namespace subten
