// What Triton's core itself asks for one request at a time, from C++ through the same functions, with nothing of Node
// and nothing of subten's executor in it.
//
//   triton_floor LIBRARY REPOSITORY MODEL ROUND_TRIPS BACKENDS [epoll]   →  {"n":…,"p50_ns":…,"p99_ns":…}
//
// One FP32 input INPUT0 [1, 64] and one output; the request object and both buffers are used again, the response writes
// into ours. Main sleeps in a futex until response and request have come back; with "epoll" it is woken by an eventfd,
// as an event loop is: the same hops as subten's.
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engines/triton/library.h"
#include "engines/triton/server.h"
#include "metrics/clock.h"

namespace {

using namespace subten;

constexpr int64_t kShape[] = {1, 64};
float input[64];
float output[64];
std::atomic<uint32_t> left{0};  // who has still to come back
bool by_epoll = false;
int event = -1;

void require(TRITONSERVER_Error* error, const char* what) {
  if (error == nullptr) return;
  std::fprintf(stderr, "triton_floor: %s: %s\n", what, triton().ErrorMessage(error));
  std::exit(1);
}

void come_back() {
  // acq_rel: main reads the output after the last has come.
  if (left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const uint64_t one = 1;
  if (by_epoll) {
    if (write(event, &one, sizeof(one)) != sizeof(one)) std::abort();
  } else {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&left), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
  }
}

void wait(int poll) {
  while (const uint32_t value = left.load(std::memory_order_acquire)) {
    if (!by_epoll) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&left), FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr,
              0);
      continue;
    }
    epoll_event ready;
    uint64_t wakes;
    if (epoll_wait(poll, &ready, 1, -1) == 1 && read(event, &wakes, sizeof(wakes)) < 0) std::abort();
  }
}

TRITONSERVER_Error* allocate(TRITONSERVER_ResponseAllocator*, const char*, size_t bytes, TRITONSERVER_MemoryType,
                             int64_t, void*, void** buffer, void** userp, TRITONSERVER_MemoryType* type, int64_t* id) {
  if (bytes > sizeof(output)) std::abort();
  *buffer = output;
  *userp = nullptr;
  *type = TRITONSERVER_MEMORY_CPU;
  *id = 0;
  return nullptr;
}
TRITONSERVER_Error* keep(TRITONSERVER_ResponseAllocator*, void*, void*, size_t, TRITONSERVER_MemoryType, int64_t) {
  return nullptr;
}
void released(TRITONSERVER_InferenceRequest*, uint32_t, void*) { come_back(); }
void answered(TRITONSERVER_InferenceResponse* response, uint32_t flags, void*) {
  if (response != nullptr) {
    require(triton().InferenceResponseError(response), "infer");
    require(triton().InferenceResponseDelete(response), "delete a response");
  }
  if ((flags & TRITONSERVER_RESPONSE_COMPLETE_FINAL) != 0) come_back();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6)
    return std::fprintf(stderr, "usage: triton_floor LIBRARY REPOSITORY MODEL ROUND_TRIPS BACKENDS [epoll]\n"), 2;
  const auto count = static_cast<uint32_t>(std::atoi(argv[4]));
  by_epoll = argc > 6 && std::string(argv[6]) == "epoll";
  event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (event < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, event, &interest) != 0) return std::perror("epoll"), 1;

  std::shared_ptr<TritonServer> server;
  Status status = load_triton(argv[1]);
  if (status.is_ok())
    status = TritonServer::acquire({{"repository", argv[2]}, {"backend_directory", argv[5]}, {"log_level", "none"}},
                                   &server);
  if (status.is_ok()) status = server->use_model(argv[3], "");
  if (!status.is_ok()) return std::fprintf(stderr, "triton_floor: %s\n", status.message.c_str()), 1;

  TRITONSERVER_ResponseAllocator* allocator = nullptr;
  require(triton().ResponseAllocatorNew(&allocator, allocate, keep, nullptr), "make an allocator");
  TRITONSERVER_InferenceRequest* request = nullptr;
  require(triton().InferenceRequestNew(&request, server->raw(), argv[3], -1), "make a request");
  require(triton().InferenceRequestSetReleaseCallback(request, released, nullptr), "set a callback");
  require(triton().InferenceRequestAddInput(request, "INPUT0", TRITONSERVER_TYPE_FP32, kShape, 2), "add an input");
  require(triton().InferenceRequestAppendInputData(request, "INPUT0", input, sizeof(input), TRITONSERVER_MEMORY_CPU, 0),
          "set an input");
  require(triton().InferenceRequestSetResponseCallback(request, allocator, nullptr, answered, nullptr),
          "set a callback");
  std::vector<int64_t> times;
  times.reserve(count);
  float sum = 0;
  const uint32_t warmup = count / 10 + 1;
  for (uint32_t i = 1; i <= count + warmup; ++i) {
    const int64_t start = monotonic_ns();
    for (float& value : input) value = static_cast<float>(i);

    left.store(2, std::memory_order_relaxed);
    require(triton().ServerInferAsync(server->raw(), request, nullptr), "submit");
    wait(poll);
    sum += output[i % 64];
    if (i > warmup) times.push_back(monotonic_ns() - start);
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return static_cast<long long>(times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))]);
  };
  std::printf("{\"n\":%u,\"p50_ns\":%lld,\"p99_ns\":%lld,\"checksum\":%g}\n", count, at(0.5), at(0.99),
              static_cast<double>(sum));
  require(triton().InferenceRequestDelete(request), "delete a request");
  require(triton().ResponseAllocatorDelete(allocator), "delete the allocator");
  server->release_model(argv[3]);
}
