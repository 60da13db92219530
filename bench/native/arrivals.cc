// Requests as they come from outside: sends one number at each time of a Poisson process, whatever becomes of it.
//
//   arrivals SOCKET PER_SECOND MILLISECONDS SEED
//
// Listens at the path SOCKET, says "ready", and serves one connection. A number is a double: the time at which it
// should have been sent, nanoseconds of CLOCK_MONOTONIC. Latency counted from it hides no stall, neither of the
// sender's nor of the receiver's. It sleeps between sends, 20 µs at least, so that it takes little of a small machine.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace {

constexpr double kLeastSleepNs = 20e3;

double now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void sleep_until(double ns) {
  timespec until;
  until.tv_sec = static_cast<time_t>(ns / 1e9);
  until.tv_nsec = static_cast<long>(ns - static_cast<double>(until.tv_sec) * 1e9);
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

bool send_all(int to, const std::vector<double>& times) {
  const char* from = reinterpret_cast<const char*>(times.data());
  for (size_t left = times.size() * sizeof(double); left > 0;) {
    const ssize_t sent = send(to, from, left, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    left -= static_cast<size_t>(sent);
  }
  return true;
}

int accept_one(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof(address.sun_path)) return -1;
  std::strcpy(address.sun_path, path);
  unlink(path);
  const int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listening < 0 || bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return -1;
  if (listen(listening, 1) != 0) return -1;
  std::puts("ready");
  std::fflush(stdout);
  const int connection = accept(listening, nullptr, nullptr);
  unlink(path);
  return connection;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: arrivals SOCKET PER_SECOND MILLISECONDS SEED\n"), 2;
  const double gap_ns = 1e9 / std::atof(argv[2]);
  const double last_ns = std::atof(argv[3]) * 1e6;
  std::mt19937_64 random(static_cast<uint64_t>(std::atoll(argv[4])));
  std::exponential_distribution<double> gap(1 / gap_ns);
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  const int to = accept_one(argv[1]);
  if (to < 0) return std::perror("arrivals"), 1;

  const double start = now_ns() + 1e6;
  std::vector<double> due;
  for (double next = gap(random), before = 0; next < last_ns;) {
    sleep_until(start + std::max(next, before + kLeastSleepNs));
    const double now = now_ns() - start;
    for (due.clear(); next <= now && next < last_ns; next += gap(random)) due.push_back(start + next);
    if (!send_all(to, due)) return 1;
    before = now;
  }
  close(to);
}
