// One run of the model over the requests that share it: what the engine is given, and where its outputs go.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engines/engine.h"
#include "engines/onnxruntime/session.h"
#include "triton_backend/request.h"

namespace subten::triton_backend {

// Memory that grows and is kept from run to run.
class Staging {
 public:
  void* room(uint64_t bytes);

 private:
  struct Free {
    void operator()(void* memory) const noexcept;
  };
  std::unique_ptr<void, Free> memory_;
  uint64_t bytes_ = 0;
};

// Made once for an instance and used for one run after the other.
class GroupRun final : private BatchCompletion {
 public:
  GroupRun(const ModelSpec& spec, bool batches);

  // Runs the model for `group`, whose requests are sound and fit each other, and puts the outputs into their responses.
  // A request that fails has its status; none is sent. False when the engine failed on several requests at once:
  // nothing has happened to them then, and each may be run alone.
  bool run(EngineInstance& engine, std::span<ServedRequest* const> group) noexcept;
  bool ran() const noexcept { return start_ns_ != 0; }
  uint32_t rows() const noexcept { return rows_; }
  int64_t start_ns() const noexcept { return start_ns_; }
  int64_t end_ns() const noexcept { return end_ns_; }

 private:
  // An output of the whole run.
  struct Outlet {
    bool filled = false;  // by the engine, or about to be
    bool opened = false;  // in the response of the only request
    OutputMemory memory;  // there, if opened
    const void* data = nullptr;
    uint64_t bytes = 0;
    uint8_t rank = 0;
    std::array<int64_t, kMaxRank> shape{};
    BufferHandle adopted;
    Staging staging;
  };

  void* allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override;
  void adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept override;
  void set_shape(size_t index, std::span<const int64_t> shape) noexcept override;
  void* allocate_for(size_t request, size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept override;
  void adopt_for(size_t request, size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept override;
  bool part(size_t request) noexcept override;
  void fail(size_t request, Status status) noexcept override;
  bool abandoned() const noexcept override { return false; }
  void mark_start() noexcept override;
  void mark_end() noexcept override;
  void done(Status status) noexcept override;

  Status prepare(std::span<ServedRequest* const> group);
  Status prepare_input(size_t index);
  Status gather(size_t index, BatchTensor* tensor);
  Status share_out();
  Status share_out(size_t index);
  Status give(ServedRequest& request, size_t index, std::span<const int64_t> shape, const char* data, uint64_t bytes);
  void describe(Outlet* outlet, std::span<const int64_t> shape, const void* data, uint64_t bytes) noexcept;
  void begin_anew() noexcept;
  void clear() noexcept;

  const ModelSpec& spec_;
  const bool batches_;
  std::span<ServedRequest* const> group_;
  uint32_t rows_ = 0;
  std::vector<RequestView> views_;
  std::vector<BatchTensor> tensors_;
  std::vector<Staging> staging_;
  std::vector<Outlet> outlets_;
  std::array<bool, kMaxTensors> wanted_{};
  Status status_;
  int64_t start_ns_ = 0;
  int64_t end_ns_ = 0;
};

}  // namespace subten::triton_backend
