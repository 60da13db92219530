#include "engines/tensorrt/build_plan.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <mutex>

#include "engines/common/json.h"
#include "engines/common/sha256.h"
#include "engines/cuda/device.h"
#include "engines/tensorrt/library.h"
#include "metrics/clock.h"

namespace subten {
namespace {

// A plan's sink: memory that ran out must fail the build, not cut the plan.
struct Plan {
  std::string bytes;
  bool whole = true;

  TensorrtSink sink() noexcept {
    return {this, [](void* context, const void* data, uint64_t size) noexcept {
              auto* self = static_cast<Plan*>(context);
              try {
                self->bytes.append(static_cast<const char*>(data), size);
              } catch (...) {
                self->whole = false;
              }
            }};
  }
};

Status write_file(const std::string& path, const std::string& bytes) {
  const std::string fresh = path + "." + std::to_string(getpid());
  {
    std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (file && std::rename(fresh.c_str(), path.c_str()) == 0) return Status::ok();
  }
  std::remove(fresh.c_str());
  return Status::error(Code::kEngineFailed, "The plan cannot be written to " + path + ".");
}

std::mutex& building() noexcept {
  alignas(std::mutex) static std::byte storage[sizeof(std::mutex)];
  static std::mutex* const instance = new (storage) std::mutex;
  return *instance;
}

}  // namespace

Status build_tensorrt_plan(std::span<const std::string> arguments, std::string* answer) {
  if (arguments.size() != 4)
    return Status::error(Code::kInvalidInput, "build takes a request, a file and two libraries");
  const std::string& request = arguments[0];
  const TensorrtLibrary* library = nullptr;
  Json asked;
  const bool targets = parse_json(request, &asked) && !asked["targets"].items.empty();
  TensorrtSearch search{arguments[2], {}, targets ? TensorrtUse::kRtx : TensorrtUse::kBuild};
  if (!arguments[3].empty()) search.installed.push_back(arguments[3]);
  if (Status status = load_tensorrt(search, &library); !status.is_ok()) return status;
  const bool refit = asked.true_of("refit");
  if (library->plugin->is_rtx == 0 || refit) {
    // Without a driver the builder of TensorRT ends the process, and that of TensorRT for RTX fails without a word.
    CudaDevice device;
    if (Status status = find_cuda_device(0, &device); !status.is_ok()) {
      status.message = "TensorRT " + library->version + (refit ? " builds refittable plans" : " builds") +
                       " on a machine with a GPU: " + status.message +
                       (refit ? "" : " TensorRT for RTX builds without one.");
      return status;
    }
  }
  const std::lock_guard lock(building());
  const int64_t start = monotonic_ns();
  Plan plan;
  std::string report;
  std::string sentence;
  const int32_t code =
      library->plugin->build(request.data(), request.size(), plan.sink(), sink_of(&report), sink_of(&sentence));
  if (code != 0) return tensorrt_status(code, sentence + ".");
  Json facts;
  if (!plan.whole || !parse_json(report, &facts)) {
    return Status::error(Code::kOutOfMemory, "There was no memory for the plan.");
  }
  if (Status status = write_file(arguments[1], plan.bytes); !status.is_ok()) return status;
  facts.member("library") = Json::string(library->path);
  facts.member("version") = Json::string(library->version);
  facts.member("bytes") = Json::number(static_cast<int64_t>(plan.bytes.size()));
  facts.member("sha256") = Json::string(sha256_hex(plan.bytes.data(), plan.bytes.size()));
  facts.member("milliseconds") = Json::number((monotonic_ns() - start) / 1'000'000);
  *answer = write_json(facts);
  return Status::ok();
}

}  // namespace subten
