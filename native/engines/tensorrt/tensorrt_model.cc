#include "engines/tensorrt/tensorrt_model.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include "engines/common/sha256.h"
#include "engines/cuda/pinned_region.h"
#include "engines/tensorrt/library.h"
#include "engines/tensorrt/plan_spec.h"
#include "engines/tensorrt/tensorrt_lane.h"

namespace subten {
namespace {

constexpr uint32_t kMostInstances = 64;

struct Settings {
  bool graphs = true;
  bool pinned = true;
  int64_t weight_budget = -1;
  uint32_t instances = 1;  // on each device
  std::vector<int32_t> devices{0};
  PlanUse use;
};

Status read_switch(const EngineOptions& options, const char* name, bool* out) {
  const std::string* text = find_parameter(options, name);
  if (text == nullptr) return Status::ok();
  if (*text != "0" && *text != "1" && *text != "true" && *text != "false") {
    return Status::error(Code::kConfigInvalid,
                         std::string("The parameter ") + name + " must be 0 or 1, not '" + text->substr(0, 80) + "'.");
  }
  *out = *text == "1" || *text == "true";
  return Status::ok();
}

Status read_weight_budget(const EngineOptions& options, int64_t* out) {
  const std::string* text = find_parameter(options, "weight_budget_mb");
  if (text == nullptr) return Status::ok();
  uint32_t megabytes = 0;
  const char* end = text->data() + text->size();
  const auto [stopped, failed] = std::from_chars(text->data(), end, megabytes);
  if (failed != std::errc{} || stopped != end) {
    return Status::error(Code::kConfigInvalid, "The parameter weight_budget_mb must be a whole number of MiB, not '" +
                                                   text->substr(0, 80) + "'.");
  }
  *out = int64_t{megabytes} << 20;
  return Status::ok();
}

// "0,2"; the addon's own JavaScript wrote it.
std::vector<int32_t> numbers_of(const std::string& text) {
  std::vector<int32_t> numbers;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    int32_t number = 0;
    const auto [stopped, failed] = std::from_chars(at, end, number);
    if (failed != std::errc{}) break;
    numbers.push_back(number);
    at = stopped < end ? stopped + 1 : end;
  }
  return numbers;
}

Status read_settings(const EngineOptions& options, Settings* out) {
  if (Status status = read_switch(options, "graphs", &out->graphs); !status.is_ok()) return status;
  if (Status status = read_switch(options, "pinned_memory", &out->pinned); !status.is_ok()) return status;
  if (Status status = read_weight_budget(options, &out->weight_budget); !status.is_ok()) return status;
  const std::string& instances = find_setting(options, "instances");
  std::from_chars(instances.data(), instances.data() + instances.size(), out->instances);
  out->instances = std::clamp<uint32_t>(out->instances, 1, kMostInstances);
  if (std::vector<int32_t> devices = numbers_of(find_setting(options, "devices")); !devices.empty()) {
    out->devices = std::move(devices);
  }
  out->use.profiles = numbers_of(find_setting(options, "profiles"));
  out->use.max_batch_size = find_setting(options, "batch_of_plan") == "1" ? -1 : options.max_batch_size;
  return Status::ok();
}

// The bytes that are hashed are the bytes that are run.
Status read_plan(const EngineOptions& options, std::string* plan, std::string* digest) {
  std::error_code failed;
  const uint64_t bytes = std::filesystem::file_size(options.model_path, failed);
  std::ifstream file(options.model_path, std::ios::binary);
  if (failed || !file)
    return Status::error(Code::kModelNotFound, "The plan " + options.model_path + " cannot be read.");
  plan->resize(bytes);
  file.read(plan->data(), static_cast<std::streamsize>(bytes));
  if (static_cast<uint64_t>(file.gcount()) != bytes || bytes == 0) {
    return Status::error(Code::kModelInvalid,
                         "The plan " + options.model_path + " is empty or changed while it was read.");
  }
  *digest = sha256_hex(plan->data(), plan->size());
  const std::string& pinned = find_setting(options, "plan_sha256");
  if (pinned.empty() || pinned == *digest) return Status::ok();
  return Status::error(Code::kModelInvalid, "The plan " + options.model_path + " has the SHA-256 " + *digest +
                                                ", and config.pbtxt (subten.plan_sha256) wants " + pinned +
                                                ". A plan is code: do not run it before you know where it comes from.");
}

// Which library a plan is for, as far as its first bytes say it: TensorRT for RTX 1.7 writes "vtrt" and its version
// from byte 24 on, plans for one version of TensorRT begin with "ftrt".
TensorrtUse use_of(const std::string& plan) noexcept {
  constexpr size_t kMajor = 24;
  if (plan.starts_with("ftrt")) return TensorrtUse::kPlan;
  return plan.starts_with("vtrt") && plan.size() > kMajor && plan[kMajor] == 1 ? TensorrtUse::kRtx : TensorrtUse::kAny;
}

TensorrtSearch search_for(const EngineOptions& options, const std::string& plan) {
  TensorrtSearch search{options.library_path, {}, use_of(plan)};
  for (const char* name : {"installed_tensorrt", "installed_rtx"}) {
    if (const std::string& folder = find_setting(options, name); !folder.empty()) search.installed.push_back(folder);
  }
  return search;
}

// The plan on one device.
struct DevicePlan {
  int device = 0;
  std::unique_ptr<CudaStream> stream;  // keeps the device's context alive
  TensorrtEngine* engine = nullptr;
};

class TensorrtModel final : public EngineModel {
 public:
  ~TensorrtModel() override;
  static Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out);

  const ModelSpec& spec() const noexcept override { return spec_.model; }
  Completion completion() const noexcept override { return Completion::kAsync; }
  Status use_memory(void* start, uint64_t bytes) override;
  Status create_instance(std::unique_ptr<EngineInstance>* out) override;
  bool slow_to_close() const noexcept override { return true; }
  void each_stage(const std::function<void(std::string_view, const Histogram&)>& visit) const override {
    stages_.each(visit);
  }
  void reset_stages() noexcept override { stages_.reset(); }

 private:
  Status find_devices();
  Status open_devices(const std::string& plan, const std::string& weights);
  Status open_lanes();

  Settings settings_;
  const TensorrtLibrary* library_ = nullptr;
  std::string devices_text_;
  std::vector<DevicePlan> devices_;
  TensorrtPlanSpec spec_;
  PinnedRegion memory_;
  LaneStages stages_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<CudaLane>> lanes_;  // that no instance has yet
};

TensorrtModel::~TensorrtModel() {
  lanes_.clear();
  for (const DevicePlan& each : devices_) {
    if (each.engine == nullptr) continue;
    const CurrentContext current(each.stream->driver(), each.stream->context());
    library_->plugin->close(each.engine);
  }
}

Status TensorrtModel::open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) {
  auto self = std::make_unique<TensorrtModel>();
  std::string plan;
  std::string digest;
  if (Status status = read_settings(options, &self->settings_); !status.is_ok()) return status;
  if (Status status = read_plan(options, &plan, &digest); !status.is_ok()) return status;
  if (Status status = self->find_devices(); !status.is_ok()) return status;
  Status status = load_tensorrt(search_for(options, plan), &self->library_);
  if (!status.is_ok()) return status;
  if (status = self->open_devices(plan, find_setting(options, "refit_from")); !status.is_ok()) return status;
  auto& metadata = self->spec_.model.metadata;
  metadata.emplace_back("TensorRT", self->library_->version);
  metadata.emplace_back("device", self->devices_text_);
  metadata.emplace_back("plan", std::to_string(plan.size()) + " bytes, sha256 " + digest);
  std::string description;
  std::string sentence;
  const int32_t code =
      self->library_->plugin->describe(self->devices_[0].engine, sink_of(&description), sink_of(&sentence));
  if (code != 0) return tensorrt_status(code, sentence + ".");
  if (status = read_plan_spec(description, self->settings_.use, &self->spec_); !status.is_ok()) return status;
  if (status = self->open_lanes(); !status.is_ok()) return status;
  *out = std::move(self);
  return Status::ok();
}

// Before any library of TensorRT is touched: without a driver and a device it crashes.
Status TensorrtModel::find_devices() {
  for (const int32_t number : settings_.devices) {
    CudaDevice device;
    Status status = find_cuda_device(number, &device);
    if (!status.is_ok()) {
      status.message = "A TensorRT plan runs on an NVIDIA GPU. " + status.message;
      return status;
    }
    if (!devices_text_.empty()) devices_text_ += "; ";
    devices_text_ += "cuda:" + std::to_string(number) + ", " + describe(device);
  }
  return Status::ok();
}

// `weights`: an ONNX file whose weights take the place of the plan's, or empty.
Status TensorrtModel::open_devices(const std::string& plan, const std::string& weights) {
  for (const int32_t number : settings_.devices) {
    DevicePlan& made = devices_.emplace_back();
    made.device = number;
    if (Status status = CudaStream::create(number, &made.stream); !status.is_ok()) return status;
    const CurrentContext current(made.stream->driver(), made.stream->context());
    std::string sentence;
    const int32_t code =
        library_->plugin->open(plan.data(), plan.size(), settings_.weight_budget, &made.engine, sink_of(&sentence));
    if (code != 0) return tensorrt_status(code, sentence + ".");
    if (weights.empty()) continue;
    const int32_t refitted = library_->plugin->refit(made.engine, weights.c_str(), sink_of(&sentence));
    if (refitted != 0) return tensorrt_status(refitted, sentence + ".");
  }
  return Status::ok();
}

Status TensorrtModel::open_lanes() {
  std::string not_recorded;
  stages_.initialise();
  // In turns, so that few instances use all devices as well.
  for (uint32_t i = 0; i < settings_.instances; ++i) {
    for (const DevicePlan& each : devices_) {
      const TensorrtLaneOptions options{library_->plugin, each.engine, each.device, settings_.graphs, &stages_};
      std::unique_ptr<CudaLane> lane;
      Status status = create_tensorrt_lane(spec_, options, &lane, &not_recorded);
      if (!status.is_ok()) return status;
      lanes_.push_back(std::move(lane));
    }
  }
  const std::string text = "batches of " + lane_sizes_text(spec_.lane.sizes) + "; " + std::to_string(lanes_.size()) +
                           (lanes_.size() == 1 ? " stream" : " streams");
  if (!settings_.graphs) not_recorded = "graphs is 0";
  spec_.model.metadata.emplace_back("cuda graphs", not_recorded.empty() ? text : "none: " + not_recorded);
  return Status::ok();
}

Status TensorrtModel::use_memory(void* start, uint64_t bytes) {
  if (!settings_.pinned) return Status::ok();
  // Portable: what one device's context locks, every device may copy.
  Status status = memory_.lock(devices_[0].device, start, bytes);
  if (!status.is_ok()) status.message += " (the parameter pinned_memory = 0 computes without)";
  return status;
}

Status TensorrtModel::create_instance(std::unique_ptr<EngineInstance>* out) {
  const std::lock_guard lock(mutex_);
  if (lanes_.empty()) return Status::error(Code::kEngineFailed, "The plan has no stream left for another instance.");
  *out = std::make_unique<LaneInstance>(std::move(lanes_.front()));
  lanes_.erase(lanes_.begin());
  return Status::ok();
}

}  // namespace

Status open_tensorrt_model(const EngineOptions& options, std::unique_ptr<EngineModel>* out) {
  return TensorrtModel::open(options, out);
}

}  // namespace subten
