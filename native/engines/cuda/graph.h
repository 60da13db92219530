// Work that was recorded from a stream and is launched as one.
#pragma once

#include <functional>

#include "engines/cuda/stream.h"

namespace subten {

class CudaGraph {
 public:
  CudaGraph() = default;
  CudaGraph(CudaGraph&& other) noexcept { swap(other); }
  CudaGraph& operator=(CudaGraph&& other) noexcept {
    swap(other);
    return *this;
  }
  ~CudaGraph();

  // Records what `work` puts into the stream, by this thread; nothing of it runs. The stream outlives the graph, and so
  // must the memory that the work uses. After a failure the stream is as it was.
  static Status record(CudaStream& stream, const std::function<Status()>& work, CudaGraph* out);
  bool recorded() const noexcept { return graph_ != nullptr; }
  Status launch() const;

 private:
  void swap(CudaGraph& other) noexcept;

  CudaStream* stream_ = nullptr;
  CuGraphExec graph_ = nullptr;
};

}  // namespace subten
