// TensorRT's functions as they were found in its library, and what it says while it works.
#pragma once

#include <NvInfer.h>
#include <NvOnnxParser.h>

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "engines/tensorrt/plugin_abi.h"
#include "memory/status.h"

namespace subten::trt {

// Keeps warnings and errors. TensorRT remembers the first logger that it is given, so there is one and it never goes.
class Log final : public nvinfer1::ILogger {
 public:
  struct Line {
    bool error = false;
    std::string text;
  };

  void log(Severity severity, const nvinfer1::AsciiChar* text) noexcept override;
  // Number of the next line.
  size_t mark() noexcept;
  // The lines since a mark, each text once; the oldest are forgotten after some thousands.
  std::vector<Line> since(size_t mark);
  // "A; B": the errors since a mark, or `otherwise`.
  std::string errors_since(size_t mark, std::string_view otherwise);

 private:
  std::mutex mutex_;
  size_t forgotten_ = 0;
  std::vector<Line> lines_;
};

struct Api {
  void* (*create_builder)(void* logger, int32_t version) = nullptr;
  void* (*create_runtime)(void* logger, int32_t version) = nullptr;
  void* (*create_parser)(void* network, void* logger, int version) = nullptr;  // null without a parser
  void* (*create_refitter)(void* engine, void* logger, int32_t version) = nullptr;
  void* (*create_parser_refitter)(void* refitter, void* logger, int version) = nullptr;  // null without a parser
  int32_t (*lib_version)() = nullptr;
  Log log;
};

// Process-wide, never destroyed.
Api& api() noexcept;

inline void put(TensorrtSink sink, std::string_view text) noexcept { sink.put(sink.context, text.data(), text.size()); }

// Writes the sentence of a failure and gives its code.
inline int32_t failed(Code code, std::string_view text, TensorrtSink error) noexcept {
  put(error, text);
  return static_cast<int32_t>(code);
}

// "FP32", or "" for a type that KServe has no word for.
std::string_view datatype_of(nvinfer1::DataType type) noexcept;
// As NVIDIA writes them: "FP8", "INT4", …
std::string_view precision_of(nvinfer1::DataType type) noexcept;

// Called with everything that the table offers, so that no exception crosses the border.
template <class Body>
int32_t guarded(TensorrtSink error, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return failed(Code::kOutOfMemory, "there was no memory left for TensorRT", error);
  } catch (const std::exception& thrown) {
    return failed(Code::kEngineFailed, thrown.what(), error);
  } catch (...) {
    return failed(Code::kEngineFailed, "TensorRT threw something unknown", error);
  }
}

int32_t build(const char* request, uint64_t bytes, TensorrtSink plan, TensorrtSink report, TensorrtSink error);

int32_t open(const void* plan, uint64_t bytes, int64_t weight_budget, TensorrtEngine** out, TensorrtSink error);
void close(TensorrtEngine* engine);
int32_t refit(TensorrtEngine* engine, const char* model, TensorrtSink error);
int32_t describe(const TensorrtEngine* engine, TensorrtSink json, TensorrtSink error);
int32_t create_context(TensorrtEngine* engine, int32_t profile, void* stream, uint64_t memory, uint64_t memory_bytes,
                       TensorrtContext** out, TensorrtSink error);
void destroy_context(TensorrtContext* context);
int32_t bind_input(TensorrtContext* context, const char* name, uint64_t address, const int64_t* shape, int32_t rank,
                   TensorrtSink error);
int32_t bind_output(TensorrtContext* context, const char* name, uint64_t address, TensorrtSink error);
int32_t enqueue(TensorrtContext* context, void* stream, TensorrtSink error);

}  // namespace subten::trt
