// One thread for the whole process that looks after time where no instance can: it expires queued requests while all
// instances of a model are busy, and starts delayed batches of engines that complete asynchronously.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace subten {

class ModelCore;

class Timekeeper {
 public:
  void add(ModelCore* core);
  // After it returns the timekeeper does not touch `core` any more.
  void remove(ModelCore* core);
  // Drops a reference to a core on the timekeeper's thread, once no completion is inside it any more.
  // Native threads come here: it allocates nothing.
  void bury(std::shared_ptr<ModelCore> core) noexcept;
  // The thread must look at the cores again at `when_ns` at the latest. Lock-free, any thread.
  void arm(int64_t when_ns) noexcept;
  bool on_its_thread() const noexcept;

 private:
  void run() noexcept;
  bool drop_quiet() noexcept;

  std::mutex mutex_;
  std::vector<ModelCore*> cores_;
  std::mutex grave_mutex_;  // apart from mutex_, which is held while cores are looked after
  // Room for every core in cores_, each at most once.
  std::vector<std::shared_ptr<ModelCore>> buried_;
  bool started_ = false;
  std::atomic<std::thread::id> thread_{};
  std::atomic<int64_t> sleeping_until_{INT64_MAX};
  std::atomic<uint32_t> word_{0};
};

}  // namespace subten
