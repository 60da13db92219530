#include "executor/batch.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "executor/model_core.h"
#include "executor/padding.h"
#include "executor/port.h"
#include "executor/process_state.h"
#include "metrics/clock.h"

namespace subten {
namespace {

constexpr int64_t kWorthMeasuringNs = 250'000;  // of a request
constexpr int64_t kMeasureEveryNs = 2'000'000;
constexpr int64_t kMeterAgeNs = 5'000'000;

}  // namespace

Batch::Batch(ModelCore* core, uint32_t index, std::unique_ptr<EngineInstance> instance)
    : core_(core), index_(index), instance_(std::move(instance)) {
  const size_t capacity = core->options().batch.requests_capacity();
  const size_t inputs = core->spec().inputs.size();
  slots_.reserve(capacity);
  rows_.reserve(capacity);
  tensors_.resize(capacity * inputs);
  for (RequestTensor& tensor : tensors_) tensor.shape.reserve(kMaxRank);
  present_ = std::make_unique<bool[]>(capacity * inputs);
  views_.resize(capacity);
  inputs_.resize(inputs);
  note_.label = core->options().label.c_str();
  note_.instance = index;
  for (BatchTensor& input : inputs_) input.shape.reserve(kMaxRank);
  staging_ = std::vector<MappedArray<std::byte>>(inputs);
  outputs_.resize(core->spec().outputs.size());
  // From here on a run allocates nothing.
  failures_.resize(capacity);
  if (!request_outputs_.map(capacity * outputs_.size())) throw std::bad_alloc();
}

Batch::~Batch() = default;

void Batch::begin(int64_t dispatch_ns) noexcept {
  slots_.clear();
  rows_.clear();
  if (some_failed_) {
    for (Status& failure : failures_) failure = Status::ok();
  }
  some_failed_ = false;
  status_ = Status::ok();
  total_rows_ = 0;
  in_place_ = true;
  dispatch_ns_ = dispatch_ns;
  start_ns_ = end_ns_ = 0;
  ended.store(0, std::memory_order_relaxed);
}

void Batch::add(uint32_t slot, uint32_t rows) noexcept {
  slots_.push_back(slot);
  rows_.push_back(rows);
  total_rows_ += rows;
}

bool Batch::gather() noexcept {
  const size_t inputs = inputs_.size();
  engine_rows_ = core_->options().deterministic ? core_->options().batch.batch_capacity() : total_rows_;
  for (size_t request = 0; request < slots_.size(); ++request) {
    for (size_t index = 0; index < inputs; ++index) {
      present_[request * inputs + index] =
          core_->input_view(slots_[request], index, &tensors_[request * inputs + index]);
    }
    const Descriptor& descriptor = core_->descriptor(slots_[request]);
    views_[request] = {.rows = rows_[request],
                       .priority = descriptor.level,
                       .deadline_ns = descriptor.deadline_ns,
                       .attributes = core_->attributes(slots_[request]),
                       .inputs = std::span(&tensors_[request * inputs], inputs),
                       .present = std::span<const bool>(&present_[request * inputs], inputs)};
  }
  for (size_t index = 0; index < inputs; ++index) {
    if (!gather_input(index)) return false;
    if (engine_rows_ != total_rows_ && !pad_input(index)) return false;
  }
  return true;
}

bool Batch::gather_input(size_t index) noexcept {
  const size_t inputs = inputs_.size();
  BatchTensor& whole = inputs_[index];
  const RequestTensor& first = tensors_[index];
  whole.present = present_[index];
  if (!whole.present) return true;
  whole.shape = first.shape;
  whole.data = const_cast<void*>(first.data);
  whole.bytes = first.bytes;
  if (slots_.size() == 1) return true;

  bool neighbours = true;
  bool same_rows = true;
  for (size_t request = 1; request < slots_.size(); ++request) {
    const RequestTensor& tensor = tensors_[request * inputs + index];
    if (static_cast<const std::byte*>(tensor.data) != static_cast<const std::byte*>(whole.data) + whole.bytes) {
      neighbours = false;
    }
    if (!std::equal(tensor.shape.begin() + 1, tensor.shape.end(), first.shape.begin() + 1, first.shape.end())) {
      same_rows = false;
    }
    whole.bytes += tensor.bytes;
  }
  if (same_rows) {
    whole.shape[0] = total_rows_;
  } else {  // ragged: the elements one after another, as Triton passes them
    uint64_t elements = 0;
    for (size_t request = 0; request < slots_.size(); ++request) {
      const RequestTensor& tensor = tensors_[request * inputs + index];
      uint64_t count = 0;
      if (element_count(tensor.shape.data(), tensor.shape.size(), &count)) elements += count;
    }
    whole.shape.assign(1, static_cast<int64_t>(elements));
  }
  if (neighbours) return true;
  in_place_ = false;
  MappedArray<std::byte>& staging = staging_[index];
  // Room for the rows that pad_input() adds as well.
  uint64_t needed = whole.bytes;
  if (engine_rows_ != total_rows_ && !padded_bytes(whole.bytes, total_rows_, engine_rows_, &needed)) return false;
  if (staging.size() < needed) {
    const uint64_t most = core_->row_bytes(index) * core_->options().batch.batch_capacity();
    if (!staging.map(std::max(needed, most))) return false;
  }
  std::byte* to = staging.data();
  for (size_t request = 0; request < slots_.size(); ++request) {
    const RequestTensor& tensor = tensors_[request * inputs + index];
    std::memcpy(to, tensor.data, tensor.bytes);
    to += tensor.bytes;
  }
  whole.data = staging.data();
  return true;
}

// Fills the input up with rows of zeros. Where the requests were neighbours their rows are not in the staging memory
// yet.
bool Batch::pad_input(size_t index) noexcept {
  BatchTensor& whole = inputs_[index];
  if (!whole.present) return true;
  MappedArray<std::byte>& staging = staging_[index];
  uint64_t padded = 0;
  if (!padded_bytes(whole.bytes, total_rows_, engine_rows_, &padded)) return false;
  if (whole.data != staging.data()) {
    in_place_ = false;
    if (staging.size() < padded && !staging.map(padded)) return false;
    std::memcpy(staging.data(), whole.data, whole.bytes);
    whole.data = staging.data();
  }
  std::memset(staging.data() + whole.bytes, 0, padded - whole.bytes);
  whole.bytes = padded;
  whole.shape[0] = engine_rows_;
  return true;
}

void Batch::run() noexcept {
  ProcessState& state = process_state();
  state.spin.computing(1);
  // relaxed: figures for whoever looks from outside.
  running_number_.store(sync_port_ == nullptr ? ticket_ + 1 : 0, std::memory_order_relaxed);
  running_since_.store(dispatch_ns_, std::memory_order_relaxed);
  note_.begin(static_cast<uint32_t>(slots_.size()));
  enter_engine(instance_.get(), &note_);
  if (state.exiting.load(std::memory_order_seq_cst)) {
    done(Status::quiet(Code::kModelClosed, "the process exits"));
  } else if (!gather()) {
    done(Status::quiet(Code::kOutOfMemory, "no memory to gather the inputs of a batch"));
  } else {
    start_ns_ = monotonic_ns();
    instance_->execute({engine_rows_, std::span<const RequestView>(views_.data(), slots_.size()), inputs_}, this);
  }
}

void* Batch::allocate_output(Output* output, std::span<const int64_t> shape, uint64_t bytes) noexcept {
  drop(output);
  if (shape.size() > kMaxRank) return nullptr;
  const uint64_t offset = core_->slab().allocate(bytes);
  if (offset == Slab::kNowhere) return nullptr;
  output->block = offset + 1;
  output->data = core_->slab().data() + offset;
  output->bytes = bytes;
  output->rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output->shape);
  return output->data;
}

Status Batch::adopt_output(Output* output, std::span<const int64_t> shape, BufferHandle buffer) noexcept {
  drop(output);
  auto* shared = shape.size() > kMaxRank ? nullptr : new (std::nothrow) SharedBuffer();
  if (shared == nullptr) {
    if (buffer.release != nullptr) buffer.release(buffer.context);
    return shape.size() > kMaxRank ? Status::quiet(Code::kNotSupported, "an output has more than 8 dimensions")
                                   : Status::quiet(Code::kOutOfMemory, "no memory to keep an output");
  }
  shared->handle = buffer;
  output->engine = shared;
  output->data = static_cast<std::byte*>(buffer.data);
  output->bytes = buffer.bytes;
  output->rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output->shape);
  return Status::ok();
}

void Batch::drop(Output* output) noexcept {
  if (output->block != 0) core_->slab().release(output->block - 1);
  if (output->engine != nullptr) output->engine->release();
  output->block = 0;
  output->engine = nullptr;
}

void* Batch::allocate(size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept {
  return allocate_output(&outputs_[index], shape, bytes);
}

void Batch::adopt(size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept {
  Status status = adopt_output(&outputs_[index], shape, buffer);
  if (!status.is_ok()) status_ = std::move(status);
}

void Batch::set_shape(size_t index, std::span<const int64_t> shape) noexcept {
  Output& output = outputs_[index];
  if (shape.size() > kMaxRank) {
    status_ = Status::quiet(Code::kNotSupported, "an output has more than 8 dimensions");
    return;
  }
  output.rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output.shape);
}

void* Batch::allocate_for(size_t request, size_t index, std::span<const int64_t> shape, uint64_t bytes) noexcept {
  some_own_ = true;
  return allocate_output(&request_output(request, index), shape, bytes);
}

void Batch::adopt_for(size_t request, size_t index, std::span<const int64_t> shape, BufferHandle buffer) noexcept {
  some_own_ = true;
  Status status = adopt_output(&request_output(request, index), shape, buffer);
  if (!status.is_ok()) fail(request, std::move(status));
}

void Batch::fail(size_t request, Status status) noexcept {
  some_failed_ = true;
  failures_[request] = std::move(status);
}

bool Batch::abandoned() const noexcept {
  if (sync_port_ != nullptr) return false;
  for (const uint32_t slot : slots_) {
    if (RequestWord::pending(core_->descriptor(slot).state.load(std::memory_order_seq_cst))) return false;
  }
  return true;
}

void Batch::mark_start() noexcept { start_ns_ = monotonic_ns(); }
void Batch::mark_end() noexcept { end_ns_ = monotonic_ns(); }

bool Batch::part(size_t request) noexcept {
  const auto drop_own = [&] {
    for (size_t index = 0; some_own_ && index < outputs_.size(); ++index) drop(&request_output(request, index));
  };
  if (!core_->options().decoupled) {
    drop_own();
    fail(request, Status::quiet(Code::kEngineFailed, "the engine sent a part, but the model is not decoupled"));
    return false;
  }
  Descriptor& descriptor = core_->descriptor(slots_[request]);
  Port* port = descriptor.port;
  const uint32_t record = port->claim_part(slots_[request]);
  if (record == kNoSlot) {
    drop_own();
    return false;
  }
  if (end_ns_ == 0) end_ns_ = monotonic_ns();
  complete_ns_ = monotonic_ns();
  write_record(port, record, request, 0);
  port->header(record)->kind = static_cast<uint32_t>(CompletionKind::kPartial);
  drop_own();          // the record has them now; the final completion carries only what comes after the last part
  port->push(record);  // model: batch.part
  port->wake();
  return true;
}

void Batch::done(Status status) noexcept {
  if (end_ns_ == 0) end_ns_ = monotonic_ns();
  if (status_.is_ok()) status_ = std::move(status);
  if (status_.is_ok()) status_ = check_outputs();
  leave_engine(instance_.get());
  running_since_.store(0, std::memory_order_relaxed);
  process_state().spin.computing(-1);
  if (sync_port_ != nullptr) return;
  // Another thread may have this batch again before the end of this function.
  ModelCore* const core = core_;
  const bool async = core->engine_model().completion() == Completion::kAsync;
  core_->observe_compute(end_ns_ - dispatch_ns_);
  if (core_->slo() != nullptr) {
    core_->slo()->admission().rests(index_);
    if (status_.is_ok()) observed(shape_class_, total_rows_, end_ns_ - dispatch_ns_);
  }
  BatchCounts& counts = core_->batch_counts;
  counts.count.fetch_add(1, std::memory_order_relaxed);
  counts.rows.fetch_add(total_rows_, std::memory_order_relaxed);
  counts.by_reason[static_cast<size_t>(reason_)].fetch_add(1, std::memory_order_relaxed);
  if (in_place_) counts.in_place.fetch_add(1, std::memory_order_relaxed);
  log();
  if (core_->options().batch.preserve_ordering) {
    core->end_in_order(this);
  } else {
    end_requests();
    if (async) core->give_back(this);  // model: batch.done
  }
  if (async) core->leave();
}

// For the flight recorder, before the requests end: whoever finds one of them slow looks for its batch. What the thread
// has used takes a few microseconds to read, so that is done for long waits only, and not for each of many short runs.
void Batch::log() noexcept {
  FlightRecorder& flight = core_->flight();
  if (flight.limit_ns() < 0) return;
  const int64_t start = start_ns_ == 0 ? dispatch_ns_ : start_ns_;
  BatchEntry entry{.number = ticket_ + 1,
                   .dispatch_ns = dispatch_ns_,
                   .start_ns = start,
                   .end_ns = end_ns_,
                   .rows = total_rows_,
                   .requests = request_count(),
                   .reason = static_cast<uint32_t>(reason_),
                   .instance = index_,
                   .usual_ns = flight.rows.usual_ns(total_rows_)};
  if (core_->engine_model().completion() == Completion::kSync && end_ns_ - meter_.read_ns() >= kMeasureEveryNs &&
      end_ns_ - core_->descriptor(slots_[0]).submit_ns >= kWorthMeasuringNs) {
    const ThreadUse use = meter_.read(end_ns_);
    entry.measured_ns = use.since_ns;
    entry.cpu_ns = use.cpu_ns;
    entry.delay_ns = use.delay_ns;
    entry.major_faults = use.major_faults;
    entry.preempted = use.preempted;
  }
  flight.rows.add(total_rows_, end_ns_ - start);
  flight.batches.write(entry);
}

void Batch::rest() noexcept {
  if (core_->flight().limit_ns() >= 0) meter_.refresh(complete_ns_, kMeterAgeNs);
}

// An output of the whole batch must have a row for each row of the batch, or it cannot be shared out.
Status Batch::check_outputs() noexcept {
  if (!core_->batches()) return Status::ok();
  for (size_t index = 0; index < outputs_.size(); ++index) {
    const Output& output = outputs_[index];
    if (!output.set()) continue;
    if (output.rank == 0 || output.shape[0] != static_cast<int64_t>(engine_rows_)) {
      try {
        return Status::error(Code::kEngineFailed,
                             "output '" + core_->spec().outputs[index].name + "' has " +
                                 (output.rank == 0 ? std::string("no") : std::to_string(output.shape[0])) +
                                 " rows for a batch of " + std::to_string(engine_rows_) +
                                 "; set max_batch_size: 0 if the model does not batch");
      } catch (...) {
        return Status::quiet(Code::kEngineFailed, "");
      }
    }
  }
  return Status::ok();
}

void Batch::end_requests() noexcept {
  complete_ns_ = monotonic_ns();
  if (!status_.is_ok()) {
    message_ = new (std::nothrow) SharedMessage();
    if (message_ != nullptr) message_->text = std::move(status_.message);
  }
  last_port_ = nullptr;
  last_port_count_ = 0;
  uint64_t row = 0;
  for (size_t request = 0; request < slots_.size(); ++request) {
    end_request(request, row);
    row += rows_[request];
  }
  if (last_port_ != nullptr) {
    last_port_->wake();
    core_->port_finished(last_port_, last_port_count_);
  }
  drop_outputs();
  if (message_ != nullptr) message_->release();
  message_ = nullptr;
}

void Batch::drop_outputs() noexcept {
  for (Output& output : outputs_) drop(&output);
  if (!some_own_) return;
  for (size_t i = 0; i < slots_.size() * outputs_.size(); ++i) drop(&request_outputs_[i]);
  some_own_ = false;
}

void Batch::end_request(size_t request, uint64_t first_row) noexcept {
  const uint32_t slot = slots_[request];
  Descriptor& descriptor = core_->descriptor(slot);
  Port* port = descriptor.port;
  if (port != last_port_) {  // requests of one port come in runs: one wake a run
    if (last_port_ != nullptr) {
      last_port_->wake();
      core_->port_finished(last_port_, last_port_count_);
    }
    last_port_ = port;
    last_port_count_ = 0;
  }
  const bool failed = !status_.is_ok() || (some_failed_ && !failures_[request].is_ok());
  if (failed) {
    write_header(port, slot, request);
    write_error(port, slot, request);
  } else {
    write_record(port, slot, request, first_row);
  }
  ++last_port_count_;
  if (descriptor.state.end(failed ? Phase::kError : Phase::kResult)) {  // model: batch.end
    port->push(slot);                                                   // model: batch.push
    return;
  }
  // It was cancelled while it ran: nobody reads the record.
  port->drop_outputs(slot);
  if (descriptor.state.drop_native()) core_->recycle_to_pool(slot);  // model: slot.return
}

void Batch::write_header(Port* port, uint32_t record, size_t request) noexcept {
  RecordHeader* header = port->header(record);
  const Descriptor& descriptor = core_->descriptor(slots_[request]);
  header->slot = slots_[request];
  header->generation = descriptor.generation;
  header->kind = static_cast<uint32_t>(CompletionKind::kFinal);
  header->status = 0;
  header->reason = static_cast<uint32_t>(reason_);
  header->batch_rows = total_rows_;
  header->rows = rows_[request];
  header->batch_requests = request_count();
  header->submit_ns = static_cast<double>(descriptor.submit_ns);
  header->leader_ns = static_cast<double>(descriptor.leader_ns);
  header->dispatch_ns = static_cast<double>(dispatch_ns_);
  header->start_ns = static_cast<double>(start_ns_ == 0 ? dispatch_ns_ : start_ns_);
  header->end_ns = static_cast<double>(end_ns_);
  header->complete_ns = static_cast<double>(complete_ns_);
  header->batch = sync_port_ == nullptr ? static_cast<double>(ticket_ + 1) : 0;
}

void Batch::write_record(Port* port, uint32_t record, size_t request, uint64_t first_row) noexcept {
  write_header(port, record, request);
  for (size_t index = 0; index < outputs_.size(); ++index) write_output(port, record, request, index, first_row);
}

void Batch::write_error(Port* port, uint32_t record, size_t request) noexcept {
  const bool own = some_failed_ && !failures_[request].is_ok();
  Status& status = own ? failures_[request] : status_;
  RecordHeader* header = port->header(record);
  header->kind = static_cast<uint32_t>(CompletionKind::kError);
  header->status = static_cast<uint32_t>(status.code);
  SharedMessage* message = message_;
  if (own) {
    message = new (std::nothrow) SharedMessage();
    if (message != nullptr) message->text = std::move(status.message);
  } else if (message != nullptr) {
    message->retain();
  }
  port->set_message(record, message);
}

// The request's part of an output: its own, or its rows of the batch's. Strings are found by walking their lengths.
void Batch::write_output(Port* port, uint32_t record, size_t request, size_t index, uint64_t first_row) noexcept {
  OutputRecord* out = &port->output_records(record)[index];
  OutputRef* ref = &port->outputs(record)[index];
  *ref = {};
  const Output* own = some_own_ ? &request_output(request, index) : nullptr;
  const bool is_own = own != nullptr && own->set();
  const Output& output = is_own ? *own : outputs_[index];
  out->source = static_cast<uint32_t>(OutputSource::kAbsent);
  out->rank = 0;
  out->bytes = 0;
  if (!output.set()) return;
  const std::byte* data = output.data;
  uint64_t bytes = output.bytes;
  out->rank = output.rank;
  for (uint32_t i = 0; i < output.rank; ++i) out->shape[i] = static_cast<double>(output.shape[i]);
  if (!is_own && (slots_.size() > 1 || engine_rows_ != total_rows_)) {
    const uint64_t rows = rows_[request];
    if (core_->spec().outputs[index].type == DataType::kBytes) {
      uint64_t elements = 0;
      if (!element_count(output.shape + 1, output.rank - 1, &elements)) elements = 0;
      const auto skip = [&](const std::byte* from, uint64_t count) {
        const std::byte* const end = output.data + output.bytes;
        for (uint64_t i = 0; i < count && end - from >= 4; ++i) {
          uint32_t length;
          std::memcpy(&length, from, sizeof length);
          from += std::min<int64_t>(4 + int64_t{length}, end - from);
        }
        return from;
      };
      data = skip(data, elements * first_row);
      bytes = static_cast<uint64_t>(skip(data, elements * rows) - data);
    } else {
      const uint64_t row_bytes = output.bytes / engine_rows_;
      data += row_bytes * first_row;
      bytes = row_bytes * rows;
    }
    out->shape[0] = static_cast<double>(rows);
  }
  ref->data = data;
  ref->bytes = bytes;
  out->bytes = static_cast<double>(bytes);
  if (output.block != 0) {
    core_->slab().retain(output.block - 1);
    ref->block = output.block;
    out->source = static_cast<uint32_t>(OutputSource::kSlab);
    out->offset = static_cast<double>(data - core_->slab().data());
  } else {
    output.engine->retain();
    ref->engine = output.engine;
    out->source = static_cast<uint32_t>(OutputSource::kEngine);
    out->offset = 0;
  }
}

Code Batch::run_sync(Port* port, uint32_t slot, uint32_t rows, uint32_t record, int64_t submit_ns) noexcept {
  begin(submit_ns);
  add(slot, rows);
  reason_ = BatchReason::kIdle;
  sync_port_ = port;
  run();
  if (status_.is_ok() && some_failed_ && !failures_[0].is_ok()) status_ = std::move(failures_[0]);
  complete_ns_ = end_ns_;
  Descriptor& descriptor = core_->descriptor(slot);
  descriptor.submit_ns = descriptor.leader_ns = submit_ns;
  if (status_.is_ok()) write_record(port, record, 0, 0);
  drop_outputs();
  return status_.code;
}

}  // namespace subten
