// The one interface between the executor and an inference engine.
//
// Adding an engine touches its own folder and one line of engines/registry.cc. Nothing here knows about N-API,
// queues or requests: an engine sees batches of tensors.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "memory/buffer_handle.h"
#include "memory/status.h"
#include "memory/tensor.h"
#include "metrics/histogram.h"

namespace subten {

// kSync: execute() returns when the batch is done; the executor gives each instance a thread of its own.
// kAsync: execute() starts the batch and returns; `completion->done()` comes later from a thread of the engine.
// kStepped: the engine pulls requests at each iteration (generation); reserved.
enum class Completion : uint8_t { kSync, kAsync, kStepped };

// What load() hands to an engine.
struct EngineOptions {
  std::string model_path;    // the model file, absolute; empty when the engine needs none
  std::string library_path;  // an explicit engine library; empty = search
  // config.pbtxt `parameters` and the user's, by name; numbers as decimal text.
  std::vector<std::pair<std::string, std::string>> parameters;
  // Tensors and max_batch_size from config.pbtxt where it has any; engines without a model file (null) take their
  // specification from here. Shapes include the batch dimension.
  std::vector<TensorSpec> config_inputs;
  std::vector<TensorSpec> config_outputs;
  int32_t max_batch_size = 0;
  // Of the engine itself, not of the model: for triton where its repository lies and how its server is started.
  std::vector<std::pair<std::string, std::string>> settings;
  int32_t cuda_device = -1;  // where to compute; -1 = on the CPU
};

// Value of a setting, or "".
const std::string& find_setting(const EngineOptions& options, std::string_view name) noexcept;
// Value of a parameter, or null.
const std::string* find_parameter(const EngineOptions& options, std::string_view name) noexcept;

// One tensor of one request.
struct RequestTensor {
  const void* data = nullptr;
  uint64_t bytes = 0;
  Shape shape;  // with its own leading dimension k when the model batches
};

// What a request may carry beside its tensors, for engines that pass it on.
struct RequestAttributes {
  struct Parameter {
    enum class Kind : uint8_t { kString, kInt, kBool, kDouble };
    std::string name;
    Kind kind = Kind::kString;
    std::string text;
    int64_t integer = 0;  // kBool: 0 or 1
    double number = 0;
  };
  std::string id;
  std::string sequence_text;  // a sequence that is named by a string; empty: by the number, 0 is none
  uint64_t sequence = 0;
  bool sequence_start = false;
  bool sequence_end = false;
  std::vector<Parameter> parameters;
};

// One request of a batch.
struct RequestView {
  uint32_t rows = 1;
  uint16_t priority = 1;            // 1 is the highest
  int64_t deadline_ns = INT64_MAX;  // monotonic; INT64_MAX: none
  const RequestAttributes* attributes = nullptr;
  // Same order as ModelSpec::inputs; entries of absent optional inputs have `present[i] == false`.
  std::span<const RequestTensor> inputs;
  std::span<const bool> present;
};

// One input of the whole batch: one run of memory, gathered by the executor where the requests were not neighbours.
struct BatchTensor {
  void* data = nullptr;  // the engine must not write to it
  uint64_t bytes = 0;
  Shape shape;  // leading dimension = total rows; for a ragged input the flattened element count alone: [n]
  bool present = true;
};

struct BatchView {
  uint32_t rows = 0;
  std::span<const RequestView> requests;
  std::span<const BatchTensor> inputs;  // in the order of ModelSpec::inputs
  // In the order of ModelSpec::outputs, false for those that nobody asked for: engines need not hand them out. Empty =
  // all.
  std::span<const bool> wanted = {};
};

// How an engine hands results back. Owned by the executor; valid from execute() until done() has returned.
// All calls for one batch come from one thread at a time.
class BatchCompletion {
 public:
  // Memory in the slab for output `index` of the whole batch (shape: whole shape, leading dimension = total rows when
  // the model batches). Call it before the run where the shape is known, and let the engine write there: no copy
  // follows. Null when the slab is full: the engine then uses memory of its own and adopt().
  virtual void* allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept = 0;

  // Output `index` of the whole batch lies in the engine's own memory. The executor calls `buffer.release` when the
  // last request has been read. kBytes outputs: elements as uint32 length + bytes, in `buffer`.
  virtual void adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept = 0;

  // The shape of output `index`, whose memory was allocated when only its size was known.
  virtual void set_shape(size_t index, std::span<const int64_t> shape) noexcept = 0;

  // Output `index` of a single request of the batch (its position in BatchView::requests): decoupled models, ragged
  // outputs. Slab memory like allocate(), or null.
  virtual void* allocate_for(size_t request, size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept = 0;
  virtual void adopt_for(size_t request, size_t index, std::span<const int64_t> shape,
                         BufferHandle buffer) noexcept = 0;

  // Sends what was set for `request` with *_for since the last part as a partial completion (decoupled models).
  // False when the request has ended (cancelled, its environment is gone): send no more parts for it.
  virtual bool part(size_t request) noexcept = 0;

  // One request of the batch failed, the others did not.
  virtual void fail(size_t request, Status status) noexcept = 0;

  // True once every request of the batch has been given up (aborted): a long run may stop early.
  virtual bool abandoned() const noexcept = 0;

  // Just before the engine starts to compute, and just after: the timestamps `engine start` and `engine end`.
  // Optional; without them the executor takes the entry and the return of execute().
  virtual void mark_start() noexcept = 0;
  virtual void mark_end() noexcept = 0;

  // The batch has ended; exactly once, after every other call. A status that is not ok fails every request of it.
  // kSync engines call it before execute() returns.
  virtual void done(Status status) noexcept = 0;

 protected:
  ~BatchCompletion() = default;
};

// A concurrency token of an engine: at most one batch at a time.
class EngineInstance {
 public:
  virtual ~EngineInstance() = default;
  virtual void execute(const BatchView& batch, BatchCompletion* completion) noexcept = 0;
  // Called from another thread while a run is on, at process exit or since nobody waits for it any more: end it soon if
  // that can be done, and only that run. An engine that can looks at abandoned() once it has begun, too.
  virtual void terminate() noexcept {}
};

// What an engine says of a loaded model.
struct ModelSpec {
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  // name, version and producer of the model file and the like; shown by `subten inspect`.
  std::vector<std::pair<std::string, std::string>> metadata;
  // The batch size that the file itself sets, where the configuration leaves it open; 0 = none.
  int32_t max_batch_size = 0;
};

// One loaded model; instances share its weights. Destroyed after its last instance.
class EngineModel {
 public:
  virtual ~EngineModel() = default;
  virtual const ModelSpec& spec() const noexcept = 0;
  virtual Completion completion() const noexcept = 0;
  // The memory that tensors of batches will lie in, valid until the model is destroyed; called once, before the first
  // instance is made. Engines that copy to a device page-lock it.
  virtual Status use_memory(void* /*start*/, uint64_t /*bytes*/) { return Status::ok(); }
  // Thread safe. `*out` is set when the status is ok.
  virtual Status create_instance(std::unique_ptr<EngineInstance>* out) = 0;
  // True when destroying it may take long: that is then not done on a thread that others wait for.
  virtual bool slow_to_close() const noexcept { return false; }
  // True when instances look at RequestView::attributes.
  virtual bool takes_attributes() const noexcept { return false; }
  // Latencies that the engine measured inside itself, a histogram of nanoseconds each; called on any thread.
  virtual void each_stage(const std::function<void(std::string_view name, const Histogram& histogram)>&) const {}
  virtual void reset_stages() noexcept {}
};

// One engine; a process-wide object that is never destroyed.
class Engine {
 public:
  virtual std::string_view name() const noexcept = 0;
  // Finds and loads the engine's library if that has not been done; says what was looked for, where, and what to
  // install. `library_path` as in EngineOptions.
  virtual Status ensure_loaded(const std::string& library_path) = 0;
  // The same for one model, whose settings may ask for a library of another kind.
  virtual Status ensure_loaded_for(const EngineOptions& options) { return ensure_loaded(options.library_path); }
  // Version of the library and the path it was loaded from; empty before ensure_loaded().
  virtual std::string version() const = 0;
  virtual std::string library() const = 0;
  virtual Status open(const EngineOptions& options, std::unique_ptr<EngineModel>* out) = 0;
  // Control of an engine that is a server of its own: `method` and its arguments, which may be bytes; the answer is
  // text.
  virtual Status call(std::string_view method, std::span<const std::string> arguments, std::string* answer);
  // Opening a model may load further libraries, which register exit handlers of their own.
  virtual bool loads_libraries() const noexcept { return false; }
  // The process exits. `idle`: no run is on, and none will begin; otherwise they were waited for long enough. Stops
  // what static destructors of the engine's library would trip over, soon. False: the process must end without them.
  virtual bool stop_at_exit(bool /*idle*/) noexcept { return true; }

 protected:
  ~Engine() = default;
};

// By name ("null", "onnxruntime"), or null. engines/registry.cc has the one list.
Engine* find_engine(std::string_view name) noexcept;
std::span<Engine* const> all_engines() noexcept;

}  // namespace subten
