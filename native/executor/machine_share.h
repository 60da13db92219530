// Shares of the processors between models that have a weight.
//
// At most as many of their batches run at once as the process may use processors. Where more want to run, the model
// goes first that has had the least time for its weight: stride scheduling (Waldspurger and Weihl, 1995) with virtual
// times that are charged as measured. A model that wanted nothing for a while gets no credit for it: it starts again
// from the least virtual time of those that want something (as in start-time fair queueing). So each model gets its
// turn, however small its weight, and a model alone gets everything.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace subten {

// Who runs next: no threads, no clock, no waiting.
class ShareSchedule {
 public:
  static constexpr uint32_t kNobody = UINT32_MAX;

  explicit ShareSchedule(uint32_t places) noexcept : places_(places) {}

  uint32_t join(double weight);
  void leave(uint32_t member) noexcept { members_[member] = {}; }

  // A batch of `member` wants to run. It may begin when next() says so.
  void want(uint32_t member) noexcept;
  // The member that begins a batch now, or kNobody: all places are taken or nobody wants one. `*charged_ns` goes to
  // end(): what the batch will probably take, charged at once, so that a model with many threads does not take all
  // places at a virtual time that is already wrong.
  uint32_t next(int64_t* charged_ns) noexcept;
  // A batch of `member` has ended after `took_ns`.
  void end(uint32_t member, int64_t charged_ns, int64_t took_ns) noexcept;

  uint32_t running() const noexcept { return running_; }
  double virtual_ns(uint32_t member) const noexcept { return members_[member].virtual_ns; }

 private:
  struct Member {
    double weight = 0;  // 0: nobody has this place
    double virtual_ns = 0;
    int64_t expected_ns = 0;  // what its batches take, a moving average
    uint32_t waiting = 0;
    uint32_t running = 0;
    uint64_t since = 0;  // when it began to wait, as a number that only grows: the first of equals goes first
    bool active() const noexcept { return waiting + running > 0; }
  };
  uint32_t first() const noexcept;

  const uint32_t places_;
  uint32_t running_ = 0;
  uint64_t clock_ = 0;
  double floor_ns_ = 0;  // virtual time at which the last batch began
  std::vector<Member> members_;
};

// The same with threads: an instance waits here, on its own thread, before it forms a batch.
class MachineShare {
 public:
  explicit MachineShare(uint32_t places) noexcept : schedule_(places) {}

  uint32_t join(double weight);
  void leave(uint32_t member) noexcept;
  // Somebody waits for a place. An estimate, for whoever wonders whether more threads would help.
  bool crowded() const noexcept { return waiting_.load(std::memory_order_relaxed) > 0; }

  // The place of one thread of a model, or its wait for one. It is given back at the end in any case.
  class Turn {
   public:
    Turn(MachineShare* share, uint32_t member) noexcept : share_(share), member_(member) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { rest(); }

    // Has a place on return. Called again while it has one, it charges what it has used since, and lets others go first
    // whose turn it is: there a thread that always has something to run gives its place up.
    void take() noexcept {
      if (!ask()) wait();
    }
    // The same in two steps, for a thread that has something to do before it waits: true when it has a place at once.
    bool ask() noexcept;
    void wait() noexcept;
    // Has no place on return: there is nothing to run.
    void rest() noexcept {
      if (has_place_) give_back();
    }
    bool has_place() const noexcept { return has_place_; }

   private:
    friend class MachineShare;
    void give_back() noexcept;
    MachineShare* const share_;
    const uint32_t member_;
    bool has_place_ = false;
    int64_t charged_ns_ = 0;
    int64_t since_ns_ = 0;  // when it got its place
    Turn* next_ = nullptr;  // behind it waits another thread of the same model
    std::atomic<uint32_t> word_{0};
  };

 private:
  // Those that wait of one member, the first first.
  struct Queue {
    Turn* first = nullptr;
    Turn* last = nullptr;
  };
  void let_go(int64_t now_ns, const Turn* caller) noexcept;

  std::mutex mutex_;  // taken for moments, by threads of models with a weight only
  ShareSchedule schedule_;
  std::vector<Queue> queues_;
  std::atomic<uint32_t> waiting_{0};
};

// Of the process. Never destroyed.
MachineShare& machine_share();

}  // namespace subten
