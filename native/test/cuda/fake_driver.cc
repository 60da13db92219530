#include "fake_driver.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

namespace subten::fake_cuda {
namespace {

constexpr int kInvalidValue = 1;
constexpr int kOutOfMemory = 2;
constexpr int kInvalidDevice = 101;
constexpr int kInvalidContext = 201;
constexpr int kAlreadyRegistered = 712;
constexpr int kNotReady = 600;

Driver& driver() {
  static Driver* const instance = new Driver;
  return *instance;
}

// Notes the call; the result that it must fail with, or 0.
int called(const char* name, bool needs_context = false, bool tears_down = false) {
  Driver& self = driver();
  const std::lock_guard lock(self.mutex);
  self.calls.emplace_back(name);
  if (const auto next = self.failures.find(name); next != self.failures.end()) {
    const int result = next->second;
    self.failures.erase(next);
    return result;
  }
  if (const auto always = self.failures_for_good.find(name); always != self.failures_for_good.end()) {
    return always->second;
  }
  if (self.lost != 0 && !tears_down) return self.lost;
  return needs_context && self.pushed == 0 ? kInvalidContext : 0;
}

struct Event {
  std::mutex mutex;
  bool reached = true;
  std::chrono::steady_clock::time_point time;
};

// Runs its tasks one after the other on a thread.
class Stream {
 public:
  Stream() : thread_([this] { run(); }) {}
  ~Stream() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void add(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      (records_ ? recorded_ : tasks_).push_back(std::move(task));
    }
    changed_.notify_all();
  }
  // What is added from now on is kept and does not run; end_recording() hands it out.
  void begin_recording() {
    const std::lock_guard lock(mutex_);
    records_ = true;
  }
  std::deque<std::function<void()>> end_recording() {
    const std::lock_guard lock(mutex_);
    records_ = false;
    return std::exchange(recorded_, {});
  }
  bool idle() {
    const std::lock_guard lock(mutex_);
    return tasks_.empty();
  }
  void finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.empty(); });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ends_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = tasks_.front();
      lock.unlock();
      if (const int delay = driver().task_delay_us; delay > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(delay));
      }
      task();
      lock.lock();
      tasks_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::deque<std::function<void()>> recorded_;
  bool records_ = false;
  bool ends_ = false;
  std::thread thread_;
};

using Graph = std::deque<std::function<void()>>;

Stream* stream_of(void* stream) { return static_cast<Stream*>(stream); }
Event* event_of(void* event) { return static_cast<Event*>(event); }

bool known(int device) { return device >= 0 && device < static_cast<int>(driver().devices.size()); }

}  // namespace
}  // namespace subten::fake_cuda

using namespace subten::fake_cuda;  // NOLINT(google-build-using-namespace): the functions below are C's

#define FAKE extern "C" __attribute__((visibility("default")))
#define FAIL_IF_TOLD(...) \
  if (const int failure = called(__VA_ARGS__); failure != 0) return failure

// NOLINTBEGIN(readability-identifier-naming): the names are the API's.
FAKE Driver* subten_fake_cuda() { return &driver(); }

FAKE int cuInit(unsigned) {
  FAIL_IF_TOLD("cuInit");
  return driver().init_result;
}
FAKE int cuDriverGetVersion(int* version) {
  *version = driver().version;
  return called("cuDriverGetVersion");
}
FAKE int cuGetErrorName(int result, const char** text) {
  *text = result == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_THE_FAKE";
  return 0;
}
FAKE int cuGetErrorString(int, const char** text) {
  *text = "as the test wants it";
  return 0;
}
FAKE int cuDeviceGetCount(int* count) {
  *count = static_cast<int>(driver().devices.size());
  return called("cuDeviceGetCount");
}
FAKE int cuDeviceGet(int* device, int ordinal) {
  FAIL_IF_TOLD("cuDeviceGet");
  if (!known(ordinal)) return kInvalidDevice;
  *device = ordinal;
  return 0;
}
FAKE int cuDeviceGetName(char* name, int bytes, int device) {
  FAIL_IF_TOLD("cuDeviceGetName");
  std::strncpy(name, driver().devices[static_cast<size_t>(device)].name.c_str(), static_cast<size_t>(bytes));
  return 0;
}
FAKE int cuDeviceGetUuid_v2(void* uuid, int device) {
  FAIL_IF_TOLD("cuDeviceGetUuid_v2");
  std::memset(uuid, 0xA0 + device, 16);
  return 0;
}
FAKE int cuDeviceGetAttribute(int* value, int attribute, int device) {
  FAIL_IF_TOLD("cuDeviceGetAttribute");
  const Device& found = driver().devices[static_cast<size_t>(device)];
  *value = attribute == 75 ? found.compute_major : attribute == 76 ? found.compute_minor : 132;
  return 0;
}
FAKE int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  FAIL_IF_TOLD("cuDeviceTotalMem_v2");
  *bytes = driver().devices[static_cast<size_t>(device)].memory_bytes;
  return 0;
}
FAKE int cuDevicePrimaryCtxRetain(void** context, int) {
  FAIL_IF_TOLD("cuDevicePrimaryCtxRetain");
  const std::lock_guard lock(driver().mutex);
  ++driver().contexts;
  *context = &driver();
  return 0;
}
FAKE int cuDevicePrimaryCtxRelease_v2(int) {
  FAIL_IF_TOLD("cuDevicePrimaryCtxRelease_v2", false, true);
  const std::lock_guard lock(driver().mutex);
  --driver().contexts;
  return 0;
}
FAKE int cuCtxPushCurrent_v2(void*) {
  FAIL_IF_TOLD("cuCtxPushCurrent_v2", false, true);
  const std::lock_guard lock(driver().mutex);
  ++driver().pushed;
  return 0;
}
FAKE int cuCtxPopCurrent_v2(void**) {
  const std::lock_guard lock(driver().mutex);
  --driver().pushed;
  return 0;
}
FAKE int cuMemHostRegister_v2(void* start, size_t bytes, unsigned) {
  FAIL_IF_TOLD("cuMemHostRegister_v2", true);
  const std::lock_guard lock(driver().mutex);
  return driver().registered.emplace(start, bytes).second ? 0 : kAlreadyRegistered;
}
FAKE int cuMemHostUnregister(void* start) {
  FAIL_IF_TOLD("cuMemHostUnregister", true, true);
  const std::lock_guard lock(driver().mutex);
  return driver().registered.erase(start) == 1 ? 0 : kInvalidValue;
}
FAKE int cuMemAllocAsync(uint64_t* address, size_t bytes, void*) {
  FAIL_IF_TOLD("cuMemAllocAsync", true);
  if (bytes > driver().devices[0].memory_bytes) return kOutOfMemory;
  void* memory = std::malloc(bytes);
  *address = reinterpret_cast<uint64_t>(memory);
  const std::lock_guard lock(driver().mutex);
  driver().memory[*address] = bytes;
  return 0;
}
FAKE int cuMemFreeAsync(uint64_t address, void* stream) {
  FAIL_IF_TOLD("cuMemFreeAsync", true, true);
  stream_of(stream)->add([address] {
    std::free(reinterpret_cast<void*>(address));
    const std::lock_guard lock(driver().mutex);
    driver().memory.erase(address);
  });
  return 0;
}
FAKE int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream) {
  FAIL_IF_TOLD("cuMemcpyHtoDAsync_v2", true);
  stream_of(stream)->add([=] { std::memcpy(reinterpret_cast<void*>(to), from, bytes); });
  return 0;
}
FAKE int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream) {
  FAIL_IF_TOLD("cuMemcpyDtoHAsync_v2", true);
  stream_of(stream)->add([=] { std::memcpy(to, reinterpret_cast<const void*>(from), bytes); });
  return 0;
}
FAKE int cuStreamCreate(void** stream, unsigned) {
  FAIL_IF_TOLD("cuStreamCreate", true);
  *stream = new Stream;
  const std::lock_guard lock(driver().mutex);
  ++driver().streams;
  return 0;
}
FAKE int cuStreamSynchronize(void* stream) {
  FAIL_IF_TOLD("cuStreamSynchronize", true);
  stream_of(stream)->finish();
  return driver().lost;
}
FAKE int cuStreamQuery(void* stream) {
  FAIL_IF_TOLD("cuStreamQuery", true);
  return stream_of(stream)->idle() ? 0 : kNotReady;
}
FAKE int cuStreamWaitEvent(void* stream, void* event, unsigned) {
  FAIL_IF_TOLD("cuStreamWaitEvent", true);
  stream_of(stream)->add([event] {
    while (true) {
      {
        const std::lock_guard lock(event_of(event)->mutex);
        if (event_of(event)->reached) return;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  return 0;
}
FAKE int cuStreamDestroy_v2(void* stream) {
  FAIL_IF_TOLD("cuStreamDestroy_v2", true, true);
  delete stream_of(stream);
  const std::lock_guard lock(driver().mutex);
  --driver().streams;
  return 0;
}
FAKE int cuLaunchHostFunc(void* stream, void (*function)(void*), void* argument) {
  FAIL_IF_TOLD("cuLaunchHostFunc", true);
  stream_of(stream)->add([=] { function(argument); });
  return 0;
}
FAKE int cuEventCreate(void** event, unsigned) {
  FAIL_IF_TOLD("cuEventCreate", true);
  *event = new Event;
  const std::lock_guard lock(driver().mutex);
  ++driver().events;
  return 0;
}
FAKE int cuEventRecord(void* event, void* stream) {
  FAIL_IF_TOLD("cuEventRecord", true);
  {
    const std::lock_guard lock(event_of(event)->mutex);
    event_of(event)->reached = false;
  }
  stream_of(stream)->add([event] {
    const std::lock_guard lock(event_of(event)->mutex);
    event_of(event)->reached = true;
    event_of(event)->time = std::chrono::steady_clock::now();
  });
  return 0;
}
FAKE int cuEventQuery(void* event) {
  FAIL_IF_TOLD("cuEventQuery", true);
  const std::lock_guard lock(event_of(event)->mutex);
  return event_of(event)->reached ? 0 : kNotReady;
}
FAKE int cuEventElapsedTime(float* milliseconds, void* start, void* end) {
  FAIL_IF_TOLD("cuEventElapsedTime", true);
  *milliseconds = std::chrono::duration<float, std::milli>(event_of(end)->time - event_of(start)->time).count();
  return 0;
}
FAKE int cuEventDestroy_v2(void* event) {
  FAIL_IF_TOLD("cuEventDestroy_v2", true, true);
  delete event_of(event);
  const std::lock_guard lock(driver().mutex);
  --driver().events;
  return 0;
}
FAKE int cuStreamBeginCapture_v2(void* stream, int) {
  FAIL_IF_TOLD("cuStreamBeginCapture_v2", true);
  stream_of(stream)->begin_recording();
  return 0;
}
FAKE int cuStreamEndCapture(void* stream, void** graph) {
  Graph recorded = stream_of(stream)->end_recording();
  FAIL_IF_TOLD("cuStreamEndCapture", true);
  *graph = new Graph(std::move(recorded));
  return 0;
}
FAKE int cuGraphInstantiateWithFlags(void** launchable, void* graph, unsigned long long) {
  FAIL_IF_TOLD("cuGraphInstantiateWithFlags", true);
  *launchable = new Graph(*static_cast<Graph*>(graph));
  const std::lock_guard lock(driver().mutex);
  ++driver().graphs;
  return 0;
}
FAKE int cuGraphLaunch(void* launchable, void* stream) {
  FAIL_IF_TOLD("cuGraphLaunch", true);
  for (const auto& task : *static_cast<Graph*>(launchable)) stream_of(stream)->add(task);
  return 0;
}
FAKE int cuGraphExecDestroy(void* launchable) {
  FAIL_IF_TOLD("cuGraphExecDestroy", true, true);
  delete static_cast<Graph*>(launchable);
  const std::lock_guard lock(driver().mutex);
  --driver().graphs;
  return 0;
}
FAKE int cuGraphDestroy(void* graph) {
  FAIL_IF_TOLD("cuGraphDestroy", true, true);
  delete static_cast<Graph*>(graph);
  return 0;
}
// NOLINTEND(readability-identifier-naming)
