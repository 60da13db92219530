#include "engines/cuda/device.h"

#include <array>
#include <cstdio>

namespace subten {
namespace {

std::string uuid_text(const CuUuid& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", uuid.bytes[i]);
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

Status read_device(const CudaDriver& driver, int ordinal, CudaDevice* out) {
  CuDeviceNumber device = 0;
  CuResult result = driver.cuDeviceGet(&device, ordinal);
  std::array<char, 256> name{};
  CuUuid uuid{};
  size_t bytes = 0;
  if (result == cu::kSuccess) result = driver.cuDeviceGetName(name.data(), name.size() - 1, device);
  if (result == cu::kSuccess) result = driver.cuDeviceGetUuid(&uuid, device);
  if (result == cu::kSuccess) result = driver.cuDeviceTotalMem(&bytes, device);
  if (result == cu::kSuccess) result = driver.cuDeviceGetAttribute(&out->compute_major, cu::kComputeMajor, device);
  if (result == cu::kSuccess) result = driver.cuDeviceGetAttribute(&out->compute_minor, cu::kComputeMinor, device);
  if (result == cu::kSuccess) result = driver.cuDeviceGetAttribute(&out->multiprocessors, cu::kMultiprocessors, device);
  if (result != cu::kSuccess) {
    return cuda_failure(driver, result,
                        ("The CUDA driver does not describe device " + std::to_string(ordinal)).c_str());
  }
  out->ordinal = ordinal;
  out->name = name.data();
  out->uuid = uuid_text(uuid);
  out->memory_bytes = bytes;
  return Status::ok();
}

Status count_devices(const CudaDriver** driver, int* count) {
  if (Status status = load_cuda_driver(driver); !status.is_ok()) return status;
  if (const CuResult result = (*driver)->cuDeviceGetCount(count); result != cu::kSuccess) {
    return cuda_failure(**driver, result, "The CUDA driver does not count its devices");
  }
  return Status::ok();
}

}  // namespace

std::string describe(const CudaDevice& device) {
  char memory[32];
  std::snprintf(memory, sizeof(memory), "%.1f", static_cast<double>(device.memory_bytes) / (1 << 30));
  return device.name + " (compute " + std::to_string(device.compute_major) + "." +
         std::to_string(device.compute_minor) + ", " + memory + " GiB)";
}

int cuda_driver_version(const CudaDriver& driver) noexcept {
  int version = 0;
  return driver.cuDriverGetVersion(&version) == cu::kSuccess ? version : 0;
}

Status list_cuda_devices(std::vector<CudaDevice>* out) {
  const CudaDriver* driver = nullptr;
  int count = 0;
  if (Status status = count_devices(&driver, &count); !status.is_ok()) return status;
  out->resize(static_cast<size_t>(count));
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    if (Status status = read_device(*driver, ordinal, &(*out)[static_cast<size_t>(ordinal)]); !status.is_ok()) {
      return status;
    }
  }
  return Status::ok();
}

Status find_cuda_device(int ordinal, CudaDevice* out) {
  const CudaDriver* driver = nullptr;
  int count = 0;
  if (Status status = count_devices(&driver, &count); !status.is_ok()) return status;
  if (ordinal < 0 || ordinal >= count) {
    return Status::error(Code::kConfigInvalid, "There is no CUDA device " + std::to_string(ordinal) +
                                                   "; the driver shows " + std::to_string(count) +
                                                   ", numbered from 0 (CUDA_VISIBLE_DEVICES may hide some).");
  }
  return read_device(*driver, ordinal, out);
}

}  // namespace subten
