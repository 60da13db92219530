// A TensorRT of ours for tests, and the shared object of ours over it, in one file: a plan is the JSON that describe()
// writes, with "factor" beside it. It computes in the streams of the fake driver (native/test/cuda/fake_driver.h):
// every element j of row r of every output is factor * (sum of row r of all inputs) + j, in FP32.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace subten::fake_tensorrt {

struct State {
  std::mutex mutex;
  int32_t version = 110100;                                         // as getInferLibVersion() says it: 11.1.0
  std::vector<std::string> calls;                                   // names, in the order of the calls
  std::map<std::string, std::pair<int32_t, std::string>> failures;  // name: code and sentence of its next call
  // What is alive now.
  int engines = 0;
  int contexts = 0;
  // What was asked for last.
  int64_t weight_budget = -1;
  std::string refitted_from;

  void reset() {
    const std::lock_guard lock(mutex);
    version = 110100;
    calls.clear();
    failures.clear();
    weight_budget = -1;
    refitted_from.clear();
  }
  size_t count(const std::string& name) {
    const std::lock_guard lock(mutex);
    size_t found = 0;
    for (const std::string& call : calls) found += call == name ? 1 : 0;
    return found;
  }
};

// Exported by the shared object as subten_fake_tensorrt.
using GetState = State* (*)();

}  // namespace subten::fake_tensorrt
