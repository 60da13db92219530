// The run: one batch through an ONNX Runtime session.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engines/engine.h"
#include "engines/onnxruntime/ort_api.h"
#include "engines/onnxruntime/run_switch.h"
#include "engines/onnxruntime/session.h"
#include "engines/onnxruntime/value_cache.h"

namespace subten {

// Instances of a model share its session, whose Run is thread safe; an instance is what one run needs for itself. All
// of it is made beforehand: a batch whose values are cached allocates nothing here.
class OrtInstance final : public EngineInstance {
 public:
  static Status create(OrtModelState& model, std::unique_ptr<EngineInstance>* out);

  void execute(const BatchView& batch, BatchCompletion* completion) noexcept override;
  void terminate() noexcept override;

 private:
  struct Input {
    ValueCache cache;
    // kBytes: the elements are copied into a value of the library's, kept while the shape stays the same.
    OrtOwned<OrtValue> strings;
    Shape strings_shape;
  };
  struct Output {
    ValueCache cache;
    std::array<int64_t, kMaxRank> shape{};
    bool placed = false;  // in memory of the executor's
  };

  explicit OrtInstance(OrtModelState& model) : model_(model) {}

  Status run(const BatchView& batch, BatchCompletion& completion);
  Status take_inputs(const BatchView& batch, BatchCompletion& completion);
  OrtValue* take_tensor(size_t index, const BatchTensor& tensor, Status* status);
  OrtValue* take_strings(size_t index, const BatchView& batch, BatchCompletion& completion, Status* status);
  Status fill_requests(size_t index, const BatchView& batch, BatchCompletion& completion, OrtValue* value);
  void place_outputs(const BatchView& batch, BatchCompletion& completion);
  bool predict_shape(size_t index, const BatchView& batch, uint64_t* count) noexcept;
  OrtStatus* run_wanted(const BatchView& batch);
  Status call_session(const BatchView& batch, BatchCompletion& completion);
  Status hand_over(const BatchView& batch, BatchCompletion& completion);
  Status adopt_output(size_t index, OrtOwned<OrtValue> value, const BatchView& batch, BatchCompletion& completion);

  OrtModelState& model_;
  OrtOwned<OrtRunOptions> options_;
  RunSwitch switch_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  // What Run takes: the inputs that are present, and all outputs.
  std::vector<const char*> run_names_;
  std::vector<const OrtValue*> run_inputs_;
  std::vector<OrtValue*> run_outputs_;
  size_t run_count_ = 0;
  // What Run takes where not all outputs are wanted.
  std::vector<const char*> wanted_names_;
  std::vector<OrtValue*> wanted_outputs_;
  std::vector<size_t> string_offsets_;
  std::vector<bool> failed_;  // by request, in this batch; filled only when a string input is malformed
};

}  // namespace subten
