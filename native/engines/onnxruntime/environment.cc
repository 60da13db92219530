#include "engines/onnxruntime/environment.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

namespace subten {
namespace {

constexpr int kComputeNice = 19;
constexpr size_t kLogLines = 32;
constexpr size_t kLogLineBytes = 600;

// Process-wide and never destroyed: ONNX Runtime's threads may log or compute until the very end.
struct Environment {
  std::atomic<int> compute_threads{0};
  OrtEnv* env = nullptr;
  OrtMemoryInfo* cpu_memory = nullptr;
  OrtAllocator* allocator = nullptr;

  std::mutex log_mutex;
  std::array<std::string, kLogLines> log;
  uint64_t logged = 0;
};

Environment& environment() noexcept {
  alignas(Environment) static std::byte storage[sizeof(Environment)];
  static Environment* const instance = new (storage) Environment;
  return *instance;
}

int cpus_allowed() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

void log_line(void* /*param*/, OrtLoggingLevel severity, const char* category, const char* log_id,
              const char* /*code_location*/, const char* message) {
  try {
    const std::string line = one_line(message == nullptr ? "" : message, kLogLineBytes);
    if (log_id != nullptr && std::strncmp(log_id, kOrtLoudLogId, std::strlen(kOrtLoudLogId)) == 0) {
      static constexpr const char* kNames[] = {"verbose", "info", "warning", "error", "fatal"};
      const auto level = static_cast<size_t>(std::clamp(static_cast<int>(severity), 0, 4));
      std::fprintf(stderr, "onnxruntime %s [%s] %s\n", kNames[level], category == nullptr ? "" : category,
                   line.c_str());
    }
    if (severity < OrtLoggingLevel::kWarning) return;
    Environment& self = environment();
    const std::lock_guard lock(self.log_mutex);
    self.log[self.logged % kLogLines] = line;
    ++self.logged;
  } catch (...) {
    // No memory for a log line: the line is lost, and the library must not see an exception.
  }
}

struct PoolThread {
  pthread_t thread{};
  OrtThreadWorker worker = nullptr;
  void* worker_param = nullptr;
};

void* run_pool_thread(void* argument) {
  auto* self = static_cast<PoolThread*>(argument);
  setpriority(PRIO_PROCESS, 0, kComputeNice);  // 0 = this thread, on Linux
  pthread_setname_np(pthread_self(), "subten-compute");
  self->worker(self->worker_param);
  return nullptr;
}

Status failed(const char* what, const OrtError& error) {
  return Status::error(Code::kEngineFailed, std::string("ONNX Runtime could not ") + what + ": " + error.message());
}

}  // namespace

void set_ort_compute_threads(int threads) noexcept {
  // Relaxed: a number on its own; whoever needs it ordered calls load_ort_library() afterwards.
  environment().compute_threads.store(threads, std::memory_order_relaxed);
}

int ort_compute_threads() noexcept {
  const int threads = environment().compute_threads.load(std::memory_order_relaxed);
  return threads > 0 ? threads : cpus_allowed();
}

const void* create_ort_thread(void* /*options*/, OrtThreadWorker worker, void* worker_param) {
  auto thread = std::unique_ptr<PoolThread>(new (std::nothrow) PoolThread);
  if (!thread) return nullptr;
  thread->worker = worker;
  thread->worker_param = worker_param;
  // The new thread inherits the mask: block what a process handles once (SIGTERM, SIGCHLD, ...), keep what a thread
  // raises itself.
  sigset_t blocked;
  sigset_t before;
  sigfillset(&blocked);
  for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) sigdelset(&blocked, own);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const int failure = pthread_create(&thread->thread, nullptr, run_pool_thread, thread.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return failure == 0 ? thread.release() : nullptr;  // owned by the pool, until join_ort_thread
}

void join_ort_thread(const void* handle) {
  const std::unique_ptr<PoolThread> thread(static_cast<PoolThread*>(const_cast<void*>(handle)));
  if (thread) pthread_join(thread->thread, nullptr);
}

Status start_ort_environment() {
  Environment& self = environment();
  OrtThreadingOptions* raw_options = nullptr;
  if (OrtError error(ort().CreateThreadingOptions(&raw_options)); error) return failed("start", error);
  const OrtOwned<OrtThreadingOptions> options(raw_options);
  // N means the caller of Run and N - 1 threads of the pool. No global pool across operators: a model that runs its
  // graph in parallel gets pools of its own.
  if (OrtError error(ort().SetGlobalIntraOpNumThreads(options.get(), ort_compute_threads())); error) {
    return failed("size its thread pool", error);
  }
  if (OrtError error(ort().SetGlobalInterOpNumThreads(options.get(), 1)); error) {
    return failed("size its thread pool", error);
  }
  // Idle threads that spin steal the event loop's CPU.
  if (OrtError error(ort().SetGlobalSpinControl(options.get(), 0)); error) return failed("stop spinning", error);
  if (OrtError error(ort().SetGlobalCustomCreateThreadFn(options.get(), create_ort_thread)); error) {
    return failed("take thread functions", error);
  }
  if (OrtError error(ort().SetGlobalCustomJoinThreadFn(options.get(), join_ort_thread)); error) {
    return failed("take thread functions", error);
  }

  OrtMemoryInfo* raw_memory = nullptr;
  if (OrtError error(ort().CreateCpuMemoryInfo(OrtAllocatorType::kDevice, OrtMemType::kDefault, &raw_memory)); error) {
    return failed("describe CPU memory", error);
  }
  OrtOwned<OrtMemoryInfo> memory(raw_memory);
  OrtAllocator* allocator = nullptr;
  if (OrtError error(ort().GetAllocatorWithDefaultOptions(&allocator)); error) return failed("give memory", error);

  OrtEnv* env = nullptr;
  if (OrtError error(ort().CreateEnvWithCustomLoggerAndGlobalThreadPools(log_line, nullptr, OrtLoggingLevel::kWarning,
                                                                         "subten", options.get(), &env));
      error) {
    return failed("create its environment", error);
  }
  self.cpu_memory = memory.release();
  self.allocator = allocator;
  self.env = env;
  return Status::ok();
}

OrtEnv* ort_environment() noexcept { return environment().env; }
const OrtMemoryInfo* ort_cpu_memory() noexcept { return environment().cpu_memory; }
OrtAllocator* ort_allocator() noexcept { return environment().allocator; }

uint64_t ort_log_mark() {
  Environment& self = environment();
  const std::lock_guard lock(self.log_mutex);
  return self.logged;
}

std::vector<std::string> ort_log_since(uint64_t mark) {
  Environment& self = environment();
  const std::lock_guard lock(self.log_mutex);
  std::vector<std::string> lines;
  const uint64_t oldest = self.logged > kLogLines ? self.logged - kLogLines : 0;
  for (uint64_t index = std::max(mark, oldest); index < self.logged; ++index) {
    lines.push_back(self.log[index % kLogLines]);
  }
  return lines;
}

std::string ort_error_with_log(const OrtError& error, uint64_t mark) {
  std::string text = error.message();
  for (const std::string& line : ort_log_since(mark)) {
    if (text.find(line) == std::string::npos) text += " | " + line;
  }
  return one_line(text, 900);
}

}  // namespace subten
