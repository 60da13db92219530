#include "engines/cuda/stream.h"

#include <utility>

namespace subten {
namespace {

// After these the context of the process is spoilt ("sticky" errors in NVIDIA's words).
bool is_final(CuResult result) noexcept {
  switch (result) {
    case 46:   // CUDA_ERROR_DEVICE_UNAVAILABLE
    case 214:  // CUDA_ERROR_ECC_UNCORRECTABLE
    case 700:  // CUDA_ERROR_ILLEGAL_ADDRESS
    case 702:  // CUDA_ERROR_LAUNCH_TIMEOUT
    case 709:  // CUDA_ERROR_CONTEXT_IS_DESTROYED
    case 710:  // CUDA_ERROR_ASSERT
    case 714:  // CUDA_ERROR_HARDWARE_STACK_ERROR
    case 715:  // CUDA_ERROR_ILLEGAL_INSTRUCTION
    case 716:  // CUDA_ERROR_MISALIGNED_ADDRESS
    case 717:  // CUDA_ERROR_INVALID_ADDRESS_SPACE
    case 718:  // CUDA_ERROR_INVALID_PC
    case 719:  // CUDA_ERROR_LAUNCH_FAILED
    case 999:  // CUDA_ERROR_UNKNOWN
      return true;
    default:
      return false;
  }
}

}  // namespace

DeviceBuffer::~DeviceBuffer() {
  if (address_ != 0) stream_->free(address_);
}

void DeviceBuffer::swap(DeviceBuffer& other) noexcept {
  std::swap(stream_, other.stream_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
}

CudaEvent::~CudaEvent() {
  if (event_ == nullptr) return;
  const CurrentContext current(stream_->driver(), stream_->context());
  stream_->driver().cuEventDestroy(event_);
}

Status CudaEvent::create(const CudaStream& stream, bool timed) {
  stream_ = &stream;
  const CurrentContext current(stream.driver(), stream.context());
  const CuResult result = stream.driver().cuEventCreate(&event_, timed ? 0 : cu::kEventDisableTiming);
  if (result != cu::kSuccess) return cuda_failure(stream.driver(), result, "The CUDA driver makes no event");
  return Status::ok();
}

Status CudaEvent::reached(bool* out) const {
  const CurrentContext current(stream_->driver(), stream_->context());
  const CuResult result = stream_->driver().cuEventQuery(event_);
  *out = result == cu::kSuccess;
  if (*out || result == cu::kNotReady) return Status::ok();
  return cuda_failure(stream_->driver(), result, "The CUDA device failed");
}

Status CudaEvent::elapsed_ms(const CudaEvent& start, float* out) const {
  const CurrentContext current(stream_->driver(), stream_->context());
  const CuResult result = stream_->driver().cuEventElapsedTime(out, start.event_, event_);
  if (result != cu::kSuccess) return cuda_failure(stream_->driver(), result, "The CUDA driver gives no time");
  return Status::ok();
}

Status CudaStream::create(int device, std::unique_ptr<CudaStream>* out) {
  CudaDevice found;
  if (Status status = find_cuda_device(device, &found); !status.is_ok()) return status;
  std::unique_ptr<CudaStream> self(new CudaStream);
  if (Status status = load_cuda_driver(&self->driver_); !status.is_ok()) return status;
  Status status = self->check(self->driver_->cuDeviceGet(&self->device_, device), "The CUDA driver gives no device");
  if (!status.is_ok()) return status;
  CuContext context = nullptr;
  status =
      self->check(self->driver_->cuDevicePrimaryCtxRetain(&context, self->device_), "The CUDA device gives no context");
  if (!status.is_ok()) return status;
  self->context_ = context;
  const CurrentContext current(*self->driver_, context);
  status = self->check(self->driver_->cuStreamCreate(&self->stream_, cu::kStreamNonBlocking),
                       "The CUDA device gives no stream");
  if (!status.is_ok()) return status;
  *out = std::move(self);
  return Status::ok();
}

CudaStream::~CudaStream() {
  if (context_ == nullptr) return;
  {
    const CurrentContext current(*driver_, context_);
    if (stream_ != nullptr) driver_->cuStreamDestroy(stream_);
  }
  driver_->cuDevicePrimaryCtxRelease(device_);
}

Status CudaStream::check(CuResult result, const char* what) {
  if (result == cu::kSuccess) return Status::ok();
  if (is_final(result)) lost_ = true;
  Status status = cuda_failure(*driver_, result, what);
  if (lost_) status.message += ". The device is lost to this process: start the process again.";
  return status;
}

Status CudaStream::allocate(uint64_t bytes, DeviceBuffer* out) {
  const CurrentContext current(*driver_, context_);
  DeviceBuffer buffer;
  Status status =
      check(driver_->cuMemAllocAsync(&buffer.address_, bytes, stream_), "The CUDA device has no memory for the batch");
  if (!status.is_ok()) {
    buffer.address_ = 0;
    return status;
  }
  buffer.stream_ = this;
  buffer.bytes_ = bytes;
  *out = std::move(buffer);
  return Status::ok();
}

void CudaStream::free(CuAddress address) noexcept {
  const CurrentContext current(*driver_, context_);
  driver_->cuMemFreeAsync(address, stream_);
}

Status CudaStream::copy_in(const DeviceBuffer& to, const void* from, uint64_t bytes) {
  if (bytes > to.bytes())
    return Status::error(Code::kEngineFailed, "A copy to the CUDA device is longer than its buffer");
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuMemcpyHtoDAsync(to.address(), from, bytes, stream_), "The copy to the CUDA device failed");
}

Status CudaStream::copy_out(void* to, const DeviceBuffer& from, uint64_t bytes) {
  if (bytes > from.bytes()) {
    return Status::error(Code::kEngineFailed, "A copy from the CUDA device is longer than its buffer");
  }
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuMemcpyDtoHAsync(to, from.address(), bytes, stream_), "The copy from the CUDA device failed");
}

Status CudaStream::record(const CudaEvent& event) {
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuEventRecord(event.raw(), stream_), "The CUDA device takes no event");
}

Status CudaStream::wait(const CudaEvent& event) {
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuStreamWaitEvent(stream_, event.raw(), 0), "The CUDA device does not wait for an event");
}

Status CudaStream::notify(CuHostFunction function, void* argument) {
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuLaunchHostFunc(stream_, function, argument), "The CUDA device takes no host function");
}

Status CudaStream::idle(bool* out) {
  const CurrentContext current(*driver_, context_);
  const CuResult result = driver_->cuStreamQuery(stream_);
  *out = result != cu::kNotReady;
  return result == cu::kNotReady ? Status::ok() : check(result, "The work on the CUDA device failed");
}

Status CudaStream::finish() {
  const CurrentContext current(*driver_, context_);
  return check(driver_->cuStreamSynchronize(stream_), "The work on the CUDA device failed");
}

}  // namespace subten
