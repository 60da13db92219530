#include "executor/crash_note.h"

#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "executor/process_state.h"

namespace subten {
namespace {

struct Watched {
  int signal;
  const char* name;
  struct sigaction before;
};
std::array<Watched, 5> watched{{{SIGSEGV, "SIGSEGV", {}},
                                {SIGBUS, "SIGBUS", {}},
                                {SIGILL, "SIGILL", {}},
                                {SIGFPE, "SIGFPE", {}},
                                {SIGABRT, "SIGABRT", {}}}};

// A line of bounded length, put together without anything that a signal handler must not do.
class Line {
 public:
  Line& operator<<(const char* text) noexcept {
    while (*text != 0 && length_ < text_.size() - 1) text_[length_++] = *text++;
    return *this;
  }
  Line& operator<<(uint32_t number) noexcept {
    std::array<char, 12> digits{};
    size_t at = digits.size() - 1;
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    return *this << &digits[at];
  }
  void write() noexcept {
    text_[length_++] = '\n';
    const ssize_t written = ::write(STDERR_FILENO, text_.data(), length_);
    static_cast<void>(written);  // there is nobody left to tell
  }

 private:
  std::array<char, 512> text_{};
  size_t length_ = 0;
};

struct Search {
  const char* signal;
  bool here;  // only what runs on this thread
  bool found = false;
};

void write_note(const RunNote& note, void* context) {
  auto* search = static_cast<Search*>(context);
  const bool mine = ::pthread_equal(note.thread.load(std::memory_order_relaxed), ::pthread_self()) != 0;
  if (search->here != mine) return;
  search->found = true;
  Line line;
  line << "subten: " << search->signal << (mine ? " in " : " in another thread, while this ran: ") << note.label
       << ", instance " << note.instance << ", a batch of " << note.requests.load(std::memory_order_relaxed)
       << " request(s)";
  line.write();
}

void on_signal(int signal, siginfo_t* info, void* context) {
  Watched* self = nullptr;
  for (Watched& each : watched) {
    if (each.signal == signal) self = &each;
  }
  // Node's own handler first: a trap of WebAssembly is no crash, and is seen by where the thread goes on.
  const struct sigaction& before = self->before;
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr) {
    const mcontext_t& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    mcontext_t earlier;
    std::memcpy(&earlier, &machine, sizeof machine);
    before.sa_sigaction(signal, info, context);
    if (std::memcmp(&earlier, &machine, sizeof machine) != 0) return;
  } else {
    // What was there before gets the signal when this handler has returned.
    ::sigaction(signal, &before, nullptr);
    ::raise(signal);
  }
  Search search{self->name, true};
  each_running(write_note, &search);
  search.here = false;
  if (!search.found) each_running(write_note, &search);
}

}  // namespace

void install_crash_note() noexcept {
  static std::atomic<bool> installed{false};
  const char* wanted = ::getenv("SUBTEN_CRASH_NOTE");
  if (wanted == nullptr || std::strcmp(wanted, "1") != 0 || installed.exchange(true)) return;
  for (Watched& each : watched) {
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(each.signal, &action, &each.before);
  }
}

}  // namespace subten
