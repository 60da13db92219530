// The functions of Triton's in-process C API that subten calls, by their names without the prefix TRITONSERVER_.
//
// X(name): in every API of major version 1 that we load. XO(name, minor): from that minor version on, and null in an
// older library. A test compares the list with what libraries export.
#pragma once

// clang-format off
#define SUBTEN_TRITON_SYMBOLS(X)                 \
  X(ApiVersion)                                  \
  X(ErrorNew)                                    \
  X(ErrorDelete)                                 \
  X(ErrorCode)                                   \
  X(ErrorMessage)                                \
  X(ParameterNew)                                \
  X(ParameterBytesNew)                           \
  X(ParameterDelete)                             \
  X(ResponseAllocatorNew)                        \
  X(ResponseAllocatorDelete)                     \
  X(MessageSerializeToJson)                      \
  X(MessageDelete)                               \
  X(MetricsFormatted)                            \
  X(MetricsDelete)                               \
  X(InferenceTraceNew)                           \
  X(InferenceTraceDelete)                        \
  X(InferenceRequestNew)                         \
  X(InferenceRequestDelete)                      \
  X(InferenceRequestSetId)                       \
  X(InferenceRequestSetFlags)                    \
  X(InferenceRequestSetCorrelationId)            \
  X(InferenceRequestSetCorrelationIdString)      \
  X(InferenceRequestSetTimeoutMicroseconds)      \
  X(InferenceRequestAddInput)                    \
  X(InferenceRequestRemoveAllInputs)             \
  X(InferenceRequestAppendInputData)             \
  X(InferenceRequestRemoveAllInputData)          \
  X(InferenceRequestSetReleaseCallback)          \
  X(InferenceRequestSetResponseCallback)         \
  X(InferenceRequestSetStringParameter)          \
  X(InferenceRequestSetIntParameter)             \
  X(InferenceRequestSetBoolParameter)            \
  X(InferenceResponseDelete)                     \
  X(InferenceResponseError)                      \
  X(InferenceResponseOutputCount)                \
  X(InferenceResponseOutput)                     \
  X(ServerOptionsNew)                            \
  X(ServerOptionsDelete)                         \
  X(ServerOptionsSetServerId)                    \
  X(ServerOptionsSetModelRepositoryPath)         \
  X(ServerOptionsSetModelControlMode)            \
  X(ServerOptionsSetStrictModelConfig)           \
  X(ServerOptionsSetRateLimiterMode)             \
  X(ServerOptionsSetExitOnError)                 \
  X(ServerOptionsSetStrictReadiness)             \
  X(ServerOptionsSetExitTimeout)                 \
  X(ServerOptionsSetLogInfo)                     \
  X(ServerOptionsSetLogWarn)                     \
  X(ServerOptionsSetLogError)                    \
  X(ServerOptionsSetLogVerbose)                  \
  X(ServerOptionsSetMetrics)                     \
  X(ServerOptionsSetGpuMetrics)                  \
  X(ServerOptionsSetBackendDirectory)            \
  X(ServerOptionsSetBackendConfig)               \
  X(ServerNew)                                   \
  X(ServerDelete)                                \
  X(ServerStop)                                  \
  X(ServerRegisterModelRepository)               \
  X(ServerPollModelRepository)                   \
  X(ServerIsLive)                                \
  X(ServerIsReady)                               \
  X(ServerModelIsReady)                          \
  X(ServerModelTransactionProperties)            \
  X(ServerMetadata)                              \
  X(ServerModelMetadata)                         \
  X(ServerModelStatistics)                       \
  X(ServerModelConfig)                           \
  X(ServerModelIndex)                            \
  X(ServerLoadModel)                             \
  X(ServerUnloadModel)                           \
  X(ServerUnloadModelAndDependents)              \
  X(ServerMetrics)                               \
  X(ServerInferAsync)

#define SUBTEN_TRITON_OPTIONAL_SYMBOLS(XO)       \
  XO(ServerLoadModelWithParameters, 12)          \
  XO(ServerOptionsSetModelLoadThreadCount, 12)   \
  XO(ServerOptionsSetModelLoadRetryCount, 24)    \
  XO(ServerOptionsSetCpuMetrics, 14)             \
  XO(ServerOptionsSetCacheConfig, 18)            \
  XO(ServerOptionsSetCacheDirectory, 18)         \
  XO(ServerOptionsSetLogFile, 12)                \
  XO(InferenceRequestSetPriorityUInt64, 24)      \
  XO(InferenceRequestSetDoubleParameter, 30)     \
  XO(InferenceRequestCancel, 27)                 \
  XO(ServerSetExitTimeout, 33)
// clang-format on
