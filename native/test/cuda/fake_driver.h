// A CUDA driver of ours for tests: records calls, keeps "device" memory on the heap, runs streams on threads, and fails
// where it is told to. Built as a shared object that the code under test loads in place of libcuda.so.1.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace subten::fake_cuda {

struct Device {
  std::string name = "Fake GPU";
  int compute_major = 9;
  int compute_minor = 0;
  uint64_t memory_bytes = uint64_t{1} << 30;
};

// Of the whole driver; the tests set it under `mutex` or while nothing runs.
struct Driver {
  std::mutex mutex;
  int init_result = 0;
  int version = 13000;
  std::vector<Device> devices{Device{}};
  std::vector<std::string> calls;                // names, in the order of the calls
  std::map<std::string, int> failures;           // name: result of its next call
  std::map<std::string, int> failures_for_good;  // name: result of every call: a lost device has them all
  int lost = 0;                                  // result of every call but those of the tear-down
  int task_delay_us = 0;                         // of each copy and host function in a stream
  // What is alive now.
  std::map<uint64_t, uint64_t> memory;   // address, bytes
  std::map<void*, uint64_t> registered;  // page-locked regions
  int contexts = 0;
  int streams = 0;
  int events = 0;
  int graphs = 0;  // recordings that can be launched
  int pushed = 0;  // contexts pushed and not popped

  void reset() {
    const std::lock_guard lock(mutex);
    init_result = 0;
    version = 13000;
    devices = {Device{}};
    calls.clear();
    failures.clear();
    failures_for_good.clear();
    lost = 0;
    task_delay_us = 0;
  }
  size_t count(const std::string& name) {
    const std::lock_guard lock(mutex);
    size_t found = 0;
    for (const std::string& call : calls) found += call == name ? 1 : 0;
    return found;
  }
};

// Exported by the shared object as subten_fake_cuda.
using GetDriver = Driver* (*)();

}  // namespace subten::fake_cuda
