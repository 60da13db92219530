#include "engines/cuda/graph.h"

#include <utility>

namespace subten {

CudaGraph::~CudaGraph() {
  if (graph_ == nullptr) return;
  const CurrentContext current(stream_->driver(), stream_->context());
  stream_->driver().cuGraphExecDestroy(graph_);
}

void CudaGraph::swap(CudaGraph& other) noexcept {
  std::swap(stream_, other.stream_);
  std::swap(graph_, other.graph_);
}

Status CudaGraph::record(CudaStream& stream, const std::function<Status()>& work, CudaGraph* out) {
  const CudaDriver& driver = stream.driver();
  const CurrentContext current(driver, stream.context());
  Status status = stream.check(driver.cuStreamBeginCapture(stream.raw(), cu::kCaptureThreadLocal),
                               "The CUDA device does not begin to record");
  if (!status.is_ok()) return status;
  status = work();
  // Also after a failure: a stream that records runs nothing.
  CuGraph graph = nullptr;
  Status ended =
      stream.check(driver.cuStreamEndCapture(stream.raw(), &graph), "The CUDA device did not record the run");
  if (status.is_ok()) status = std::move(ended);
  CudaGraph made;
  if (status.is_ok()) {
    made.stream_ = &stream;
    status = stream.check(driver.cuGraphInstantiateWithFlags(&made.graph_, graph, 0),
                          "The CUDA device does not take the recorded run");
    if (!status.is_ok()) made.graph_ = nullptr;
  }
  if (graph != nullptr) driver.cuGraphDestroy(graph);
  if (status.is_ok()) *out = std::move(made);
  return status;
}

Status CudaGraph::launch() const {
  const CurrentContext current(stream_->driver(), stream_->context());
  return stream_->check(stream_->driver().cuGraphLaunch(graph_, stream_->raw()),
                        "The CUDA device does not take the recorded run");
}

}  // namespace subten
