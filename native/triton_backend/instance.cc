#include "triton_backend/instance.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "engines/onnxruntime/execute.h"
#include "metrics/clock.h"
#include "triton_backend/errors.h"

namespace subten::triton_backend {
namespace {

uint64_t ns(int64_t time) noexcept { return static_cast<uint64_t>(time); }

}  // namespace

Status ServedInstance::create(ModelInstance* instance, ServedModel& model, std::unique_ptr<ServedInstance>* out) {
  InstanceKind kind{};
  int32_t device = -1;
  Status status = taken(api().TRITONBACKEND_ModelInstanceKind(instance, &kind), "Triton does not say the kind");
  if (!status.is_ok()) return status;
  if (kind == InstanceKind::kGpu) {
    status = taken(api().TRITONBACKEND_ModelInstanceDeviceId(instance, &device), "Triton does not say the device");
    if (!status.is_ok()) return status;
  }
  std::shared_ptr<OrtModelState> session;
  if (status = model.session(kind == InstanceKind::kGpu ? device : -1, &session); !status.is_ok()) {
    if (kind == InstanceKind::kGpu) {
      status.message += " (instance_group has kind: KIND_GPU; KIND_CPU computes on the CPU)";
    }
    return status;
  }
  std::unique_ptr<ServedInstance> self(new ServedInstance(instance, model.config(), std::move(session)));
  if (status = OrtInstance::create(*self->session_, &self->engine_); !status.is_ok()) return status;
  *out = std::move(self);
  return Status::ok();
}

ServedInstance::ServedInstance(ModelInstance* instance, const ModelConfig& config,
                               std::shared_ptr<OrtModelState> session)
    : instance_(instance), config_(config), session_(std::move(session)), run_(session_->spec, config.batches()) {}

Error* ServedInstance::execute(Request** requests, uint32_t count) noexcept {
  const int64_t start_ns = monotonic_ns();
  try {
    if (requests_.size() < count) requests_.resize(count);
    group_.reserve(count);
  } catch (const std::exception&) {
    return api().TRITONSERVER_ErrorNew(ErrorCode::kUnavailable, "There is not enough memory for the batch.");
  }
  for (uint32_t index = 0; index < count; ++index) {
    requests_[index].begin(requests[index], session_->spec, config_.batches(), config_.max_batch_size);
  }
  for (uint32_t first = 0; first < count; ++first) {
    if (!requests_[first].sound() || requests_[first].grouped) continue;
    form_group(first, count);
    run_group(group_, start_ns);
  }
  report(count, start_ns);
  return nullptr;
}

void ServedInstance::run_group(std::span<ServedRequest* const> group, int64_t start_ns) noexcept {
  if (!run_.run(*engine_, group)) {
    // One of them has what the model fails on; the others must not.
    for (size_t index = 0; index < group.size(); ++index) run_group(group.subspan(index, 1), start_ns);
    return;
  }
  for (ServedRequest* request : group) request->send();
  if (!run_.ran()) return;
  log_error(api().TRITONBACKEND_ModelInstanceReportBatchStatistics(
                instance_, run_.rows(), ns(start_ns), ns(run_.start_ns()), ns(run_.end_ns()), ns(monotonic_ns())),
            "Triton takes no statistics");
}

void ServedInstance::form_group(uint32_t first, uint32_t count) {
  group_.clear();
  int64_t rows = 0;
  for (uint32_t index = first; index < count; ++index) {
    ServedRequest& request = requests_[index];
    if (!request.sound() || request.grouped) continue;
    if (index > first &&
        (!config_.batches() || rows + request.rows() > config_.max_batch_size || !request.fits(requests_[first]))) {
      continue;
    }
    request.grouped = true;
    rows += request.rows();
    group_.push_back(&request);
  }
}

void ServedInstance::report(uint32_t count, int64_t start_ns) noexcept {
  for (uint32_t index = 0; index < count; ++index) {
    ServedRequest& request = requests_[index];
    request.send();  // those that did not run
    const int64_t end_ns = monotonic_ns();
    const bool ran = request.compute_start_ns != 0;
    log_error(api().TRITONBACKEND_ModelInstanceReportStatistics(
                  instance_, request.request(), request.succeeded(), ns(start_ns),
                  ns(ran ? request.compute_start_ns : end_ns), ns(ran ? request.compute_end_ns : end_ns), ns(end_ns)),
              "Triton takes no statistics");
    request.release();
  }
}

}  // namespace subten::triton_backend
