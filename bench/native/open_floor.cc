// The floor under arrivals from outside: the same hops as a request to subten, with nothing of Node or subten in them.
//
//   open_floor SOCKET BUSY_NS_PER_ROW     →  {"n":…,"p50_ns":…,"p99_ns":…,"p999_ns":…}
//
// Takes what `arrivals` sends at SOCKET. Main sleeps in epoll for arrivals and answers; for each arrival it writes 64
// floats, and wakes the worker by a futex if that sleeps. The worker takes what is there, at most 64 rows, copies each,
// burns BUSY_NS_PER_ROW a row, and writes to an eventfd once for all of them. Latency is from the intended time.
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr uint32_t kRows = 64;
constexpr uint32_t kRing = 8192;
constexpr uint32_t kStop = 1u << 31;  // added to the number of requests: the worker ends

struct Request {
  double intended_ns;
  float input[64];
  float output[64];
};
struct alignas(64) Word {
  std::atomic<uint32_t> value{0};
};

Word requested, answered, sleeping;
std::vector<Request> ring(kRing);

double now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void futex(std::atomic<uint32_t>* word, int operation, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

void work(int event, double busy_ns) {
  for (uint32_t done = 0;;) {
    uint32_t there;
    while ((there = requested.value.load(std::memory_order_acquire)) == done) {  // acquire: main wrote the inputs
      // seq_cst, here and in main: either this thread sees the request, or main sees that it sleeps.
      sleeping.value.store(1, std::memory_order_seq_cst);
      if (requested.value.load(std::memory_order_seq_cst) == done) futex(&requested.value, FUTEX_WAIT, done);
      sleeping.value.store(0, std::memory_order_relaxed);
    }
    if (there - done >= kStop) return;
    const uint32_t rows = std::min(there - done, kRows);
    for (uint32_t i = 0; i < rows; ++i) {
      Request& request = ring[(done + i) % kRing];
      std::memcpy(request.output, request.input, sizeof(request.output));
    }
    if (busy_ns > 0) {
      for (const double until = now_ns() + busy_ns * rows; now_ns() < until;) {
      }
    }
    done += rows;
    answered.value.store(done, std::memory_order_release);  // pairs with the acquire in main
    const uint64_t one = 1;
    if (write(event, &one, sizeof(one)) != sizeof(one)) std::abort();
  }
}

int connect_to(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  const int from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (from < 0 || connect(from, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
  return from;
}

bool watch(int poll, int fd) {
  epoll_event interest{};
  interest.events = EPOLLIN;
  interest.data.fd = fd;
  return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &interest) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: open_floor SOCKET BUSY_NS_PER_ROW\n"), 2;
  const int from = connect_to(argv[1]);
  const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  if (from < 0 || event < 0 || poll < 0 || !watch(poll, from) || !watch(poll, event))
    return std::perror("open_floor"), 1;
  std::thread worker(work, event, std::atof(argv[2]));

  std::vector<double> times;
  times.reserve(1 << 20);
  std::vector<double> arrived(kRing);
  float sum = 0;
  size_t held = 0;  // bytes of a number that came in part
  bool open = true;
  uint32_t sent = 0, read_back = 0;
  while (open || read_back != sent) {
    epoll_event ready[2];
    const int count = epoll_wait(poll, ready, 2, -1);
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.fd == event) {
        uint64_t wakes;
        if (read(event, &wakes, sizeof(wakes)) < 0) return std::perror("open_floor"), 1;
        continue;
      }
      // As many as there is room for; the rest waits in the socket.
      const size_t room = (kRing - (sent - read_back)) * sizeof(double);
      if (room <= held) continue;
      auto* bytes = reinterpret_cast<char*>(arrived.data());
      const ssize_t got = read(from, bytes + held, room - held);
      if (got <= 0) {
        open = false;
        epoll_ctl(poll, EPOLL_CTL_DEL, from, nullptr);
        continue;
      }
      held += static_cast<size_t>(got);
      const auto whole = static_cast<uint32_t>(held / sizeof(double));
      for (uint32_t each = 0; each < whole; ++each) {
        Request& request = ring[(sent + each) % kRing];
        request.intended_ns = arrived[each];
        for (float& value : request.input) value = static_cast<float>(sent + each);
      }
      std::memmove(bytes, bytes + whole * sizeof(double), held % sizeof(double));
      held %= sizeof(double);
      sent += whole;
      requested.value.store(sent, std::memory_order_seq_cst);
      if (sleeping.value.load(std::memory_order_seq_cst) != 0) futex(&requested.value, FUTEX_WAKE, 1);
    }
    const uint32_t done = answered.value.load(std::memory_order_acquire);  // pairs with the release in work
    for (; read_back != done; ++read_back) {
      const Request& request = ring[read_back % kRing];
      sum += request.output[read_back % 64];
      times.push_back(now_ns() - request.intended_ns);
    }
  }
  requested.value.store(sent + kStop, std::memory_order_seq_cst);
  futex(&requested.value, FUTEX_WAKE, 1);
  worker.join();
  if (times.empty()) return std::fprintf(stderr, "open_floor: nothing arrived\n"), 1;
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) { return times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))]; };
  std::printf("{\"n\":%zu,\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"checksum\":%g}\n", times.size(), at(0.5),
              at(0.99), at(0.999), static_cast<double>(sum));
}
