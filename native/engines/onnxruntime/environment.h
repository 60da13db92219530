// ONNX Runtime's environment of this process: one pool of compute threads for all models, and what it logs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engines/onnxruntime/ort_api.h"
#include "engines/onnxruntime/ort_error.h"
#include "memory/status.h"

namespace subten {

// Threads that compute together; 0 or less = as many as this process may run on. Read when the environment starts.
void set_ort_compute_threads(int threads) noexcept;
int ort_compute_threads() noexcept;

// Creates the environment of the library that ort() now names. It lives until the process ends: its threads may still
// be running then, and taking it down under them is what makes other bindings crash at exit. Called once for a library,
// by library.cc, which holds its lock.
Status start_ort_environment();

// The rest is valid after start_ort_environment().
OrtEnv* ort_environment() noexcept;
const OrtMemoryInfo* ort_cpu_memory() noexcept;
OrtAllocator* ort_allocator() noexcept;

// Threads of a pool: named, at nice 19 so that the event loop preempts them, deaf to signals meant for the process.
const void* create_ort_thread(void* options, OrtThreadWorker worker, void* worker_param);
void join_ort_thread(const void* handle);

// A session with this log id also writes its log to stderr; all others only fill the ring of newest lines.
inline constexpr const char* kOrtLoudLogId = "subten-log";

// Lines logged at warning or above so far; ort_log_since(mark) gives those after the mark that the ring still holds.
uint64_t ort_log_mark();
std::vector<std::string> ort_log_since(uint64_t mark);
// The library's own sentence, and what it logged after the mark where that says more ("cannot open shared object
// file").
std::string ort_error_with_log(const OrtError& error, uint64_t mark);

}  // namespace subten
