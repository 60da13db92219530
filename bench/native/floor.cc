// The floor of a hand-off: what the operating system and the caches ask for one request to another thread and back,
// with nothing of Node and nothing of subten in it.
//
//   floor parked|spin ROUND_TRIPS [apart]     →  {"mode":…,"n":…,"p50_ns":…,"p99_ns":…}
//
// parked: main writes 64 floats, wakes the worker by a futex and sleeps in epoll; the worker copies them, writes to an
// eventfd and sleeps in the futex. spin: the same through two words of memory that both threads watch. apart: each of
// the two stays on a CPU of its own; otherwise the system places them within the CPUs that the process may use.
#include <linux/futex.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t kFloats = 64;
constexpr uint32_t kStop = UINT32_MAX;

struct alignas(64) Word {
  std::atomic<uint32_t> value{0};
};

Word request, reply;
alignas(64) float input[kFloats];
alignas(64) float output[kFloats];

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

cpu_set_t usable;  // CPUs that the process may use

// Keeps the calling thread on the `nth` of them.
void stay_on(int nth) {
  cpu_set_t one;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable) || nth-- > 0) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) std::abort();
    return;
  }
  std::fprintf(stderr, "floor: apart needs two CPUs\n");
  std::exit(1);
}

void work(bool parked, int event) {
  for (uint32_t seen = 0;;) {
    uint32_t value;
    // acquire: pairs with the release in main, which wrote the input
    while ((value = request.value.load(std::memory_order_acquire)) == seen) {
      if (parked) {
        futex(&request.value, FUTEX_WAIT, seen);
      } else {
        relax();
      }
    }
    if (value == kStop) return;
    seen = value;
    std::memcpy(output, input, sizeof(output));
    reply.value.store(value, std::memory_order_release);  // pairs with the acquire in main
    const uint64_t one = 1;
    if (parked && write(event, &one, sizeof(one)) != sizeof(one)) std::abort();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: floor parked|spin ROUND_TRIPS [apart]\n"), 2;
  const std::string mode = argv[1];
  const bool parked = mode == "parked";
  const bool apart = argc > 3 && std::string(argv[3]) == "apart";
  const uint32_t count = static_cast<uint32_t>(std::atoi(argv[2]));
  const uint32_t warmup = count / 10 + 1;
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0) return std::perror("floor"), 1;
  const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (event < 0 || poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, event, &interest) != 0) return std::perror("floor"), 1;

  std::thread worker([=] {
    if (apart) stay_on(1);
    work(parked, event);
  });
  if (apart) stay_on(0);
  std::vector<int64_t> times;
  times.reserve(count);
  float sum = 0;
  for (uint32_t i = 1; i <= count + warmup; ++i) {
    const int64_t start = now_ns();
    for (float& value : input) value = static_cast<float>(i);
    request.value.store(i, std::memory_order_release);  // pairs with the acquire in work
    if (parked) futex(&request.value, FUTEX_WAKE, 1);
    // acquire: pairs with the release in work, which wrote the output
    while (reply.value.load(std::memory_order_acquire) != i) {
      if (parked) {
        epoll_event ready;
        uint64_t wakes;
        if (epoll_wait(poll, &ready, 1, -1) == 1 && read(event, &wakes, sizeof(wakes)) < 0)
          return std::perror("floor"), 1;
      } else {
        relax();
      }
    }
    sum += output[i % kFloats];
    if (i > warmup) times.push_back(now_ns() - start);
  }
  request.value.store(kStop, std::memory_order_release);
  futex(&request.value, FUTEX_WAKE, 1);
  worker.join();
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return static_cast<long long>(times[static_cast<size_t>(part * (times.size() - 1))]);
  };
  std::printf("{\"mode\":\"%s\",\"n\":%u,\"p50_ns\":%lld,\"p99_ns\":%lld,\"checksum\":%g}\n", mode.c_str(), count,
              at(0.5), at(0.99), static_cast<double>(sum));
}
