// A model of the server: its configuration and its sessions.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engines/onnxruntime/session.h"
#include "memory/status.h"
#include "triton_backend/library_search.h"
#include "triton_backend/model_config.h"
#include "triton_backend/triton_api.h"

namespace subten::triton_backend {

// What the server tells the backend once, for all models.
struct BackendSettings {
  LibraryChoice library;      // without a model's parameter
  int64_t default_batch = 4;  // max_batch_size of a model that can batch and does not say how much
  int compute_threads = 0;    // of all models together; 0 = as many as this process may run on
  std::string problem;        // a setting that makes no sense: said when a model is loaded
};

Status read_backend_settings(Backend* backend, BackendSettings* out);

class ServedModel {
 public:
  // Opens the model file, completes the server's configuration from it where the server lets us, and compares the two.
  static Status create(Model* model, const BackendSettings& settings, std::unique_ptr<ServedModel>* out);

  // The session that computes on a CUDA device, or on the CPU (-1); instances on the same one share it. Thread safe.
  Status session(int device, std::shared_ptr<OrtModelState>* out);

  const ModelConfig& config() const noexcept { return config_; }
  const std::string& name() const noexcept { return name_; }

 private:
  ServedModel() = default;
  EngineOptions options() const;
  Status read_config(Model* model, Json* json);

  std::string name_;
  std::string path_;
  std::string library_;
  ModelConfig config_;
  std::mutex mutex_;
  // What the file was described by; goes to the first instance on the CPU, or away with the first elsewhere.
  std::shared_ptr<OrtModelState> described_;
  std::map<int, std::weak_ptr<OrtModelState>> sessions_;
};

}  // namespace subten::triton_backend
