#include "executor/model_core.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "executor/padding.h"
#include "executor/process_state.h"
#include "metrics/clock.h"

namespace subten {
namespace {

constexpr uint32_t kMaxSlots = BatchSettings::kMaxRequests;
constexpr size_t kMaxLevels = UINT16_MAX;  // Descriptor::level
// Longest delay or timeout, about 146 years: a time and two of these can be added up.
constexpr int64_t kLongestNs = INT64_MAX / 2;
// Rows larger than this are not worth a permanent place: an extent for each request costs less than the memory.
constexpr uint64_t kHomeRowBytes = 4096;

}  // namespace

ModelCore::ModelCore(std::unique_ptr<EngineModel> model, CoreOptions options)
    : model_(std::move(model)), options_(std::move(options)) {}

Status ModelCore::create(std::unique_ptr<EngineModel> model, CoreOptions options,
                         std::shared_ptr<ModelCore>* out) noexcept {
  try {
    std::shared_ptr<ModelCore> core(new ModelCore(std::move(model), std::move(options)));
    Status status = core->prepare();
    if (!status.is_ok()) return status;
    process_state().timekeeper.add(core.get());
    if (core->options_.slow_limit_ns >= 0) process_state().host.add(&core->flight_);
    *out = std::move(core);
    return Status::ok();
  } catch (...) {
    return Status::quiet(Code::kOutOfMemory, "no memory or no thread for a model");
  }
}

Status ModelCore::start_threads() {
  if (model_->completion() != Completion::kSync) {
    self_ = shared_from_this();
    return Status::ok();
  }
  for (uint32_t index = 0; index < options_.instances; ++index) {
    try {
      std::thread([core = shared_from_this(), index] { core->run_instance(index); }).detach();
    } catch (...) {
      // With one thread the model works, only less of it at a time.
      if (index == 0) return Status::quiet(Code::kOutOfMemory, "the system refused a thread for the model");
      if (elastic_ != nullptr) elastic_->limit(index);
      break;
    }
  }
  return Status::ok();
}

// What config.pbtxt and the options of load() cannot say is checked here as well: other callers may.
Status ModelCore::check_options() {
  const uint32_t most = model_->completion() == Completion::kAsync ? kMostAsyncInstances : Parking::kPlaces;
  if (options_.instances == 0 || options_.instances > most) {
    return Status::error(Code::kConfigInvalid, "instance_group count must be 1 to " + std::to_string(most));
  }
  BatchSettings& batch = options_.batch;
  if (batch.levels.empty() || batch.levels.size() > kMaxLevels) {
    return Status::error(Code::kConfigInvalid, "priority_levels must be at most 65535");
  }
  if (batch.default_level == 0 || batch.default_level > batch.levels.size()) {
    return Status::error(Code::kConfigInvalid, "default_priority_level must be 1 to priority_levels");
  }
  batch.max_queue_delay_ns = std::clamp<int64_t>(batch.max_queue_delay_ns, 0, kLongestNs);
  for (LevelPolicy& level : batch.levels) level.timeout_ns = std::clamp<int64_t>(level.timeout_ns, 0, kLongestNs);
  // The policy looks preferred sizes up in order; one that no batch can have never comes true.
  std::sort(batch.preferred.begin(), batch.preferred.end());
  std::erase_if(batch.preferred, [&](uint32_t rows) { return rows == 0 || rows > batch.batch_capacity(); });
  return Status::ok();
}

Status ModelCore::prepare() {
  uint32_t begin = 0;
  Status status = prepare_counts(&begin);
  if (status.is_ok()) status = check_options();
  if (status.is_ok()) status = join_share();
  if (!status.is_ok()) return status;
  const ModelSpec& spec = model_->spec();
  input_count_ = spec.inputs.size();
  if (options_.deterministic) status = check_padding(spec, options_);
  if (!status.is_ok()) return status;
  if (spec.inputs.size() > kMaxTensors || spec.outputs.size() > kMaxTensors) {
    return Status::error(Code::kNotSupported, "a model may have at most 64 inputs and 64 outputs");
  }
  for (const auto* tensors : {&spec.inputs, &spec.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      if (tensor.shape.size() > kMaxRank) {
        return Status::error(Code::kNotSupported, "tensor '" + tensor.name + "' has more than 8 dimensions");
      }
      if (batches() && tensor.shape.empty()) {
        return Status::error(Code::kConfigInvalid, "tensor '" + tensor.name +
                                                       "' has no dimensions, so the model cannot batch: set "
                                                       "max_batch_size: 0");
      }
    }
  }
  const uint64_t running = uint64_t{options_.instances} * options_.batch.requests_capacity();
  uint64_t wanted = 2 * (uint64_t{options_.max_queue_size} + running);
  for (const LevelPolicy& level : options_.batch.levels)
    wanted = std::max<uint64_t>(wanted, 2 * uint64_t{level.max_queue_size});
  slot_count_ = static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(wanted, 64, kMaxSlots)));

  status = Slab::create(options_.memory_bytes, &slab_);
  if (!status.is_ok()) return status;
  queued_ = std::vector<std::atomic<uint32_t>>(options_.batch.levels.size() + 1);
  if (!descriptors_.map(slot_count_) || !inputs_.map(std::max<size_t>(1, slot_count_ * input_count_)) ||
      !owners_.map(slot_count_) || (model_->takes_attributes() && !attributes_.map(slot_count_)) ||
      (options_.decoupled && !paused_.map(slot_count_)) || !flight_.initialise(options_.batch.batch_capacity()) ||
      !queue_.initialise(descriptors_.data(), slot_count_, static_cast<uint32_t>(options_.batch.levels.size()),
                         options_.batch.slo.on())) {
    return Status::error(Code::kOutOfMemory, "the system refused memory for the queue of the model");
  }
  status = prepare_slo();
  if (!status.is_ok()) return status;
  bool mapped = reset_stages_.map(size_t{kStages} * Histogram::kCounters);
  for (Histogram& stage : retired_stages_) mapped = mapped && stage.initialise();
  if (!mapped) return Status::error(Code::kOutOfMemory, "the system refused memory for the figures of the model");
  pool_.initialise(descriptors_.data(), slot_count_);
  flight_.set_limit(options_.slow_limit_ns);

  // Home rows: one row of every input, where all dimensions but the batch's are known and a row is small.
  bool home = true;
  uint64_t request_bytes = 0;
  for (const TensorSpec& input : spec.inputs) {
    uint64_t elements = 0;
    const size_t skip = batches() && !input.shape.empty() ? 1 : 0;
    const bool fixed = element_count(input.shape.data() + skip, input.shape.size() - skip, &elements);
    uint64_t bytes = fixed ? elements * element_size(input.type) : 0;
    row_bytes_.push_back(bytes);
    if (!fixed || input.type == DataType::kBytes || input.optional || bytes % Slab::kAlignment != 0) home = false;
    request_bytes += bytes;
  }
  if (home && request_bytes > 0 && request_bytes <= kHomeRowBytes) {
    home_slots_ = static_cast<uint32_t>(std::min<uint64_t>(slot_count_, slab_->size() / 4 / request_bytes));
    for (const uint64_t bytes : row_bytes_) {
      const uint64_t offset = slab_->allocate(bytes * home_slots_);
      if (offset == Slab::kNowhere) {
        for (const uint64_t taken : home_) slab_->release(taken);
        home_.clear();
        home_slots_ = 0;
        break;
      }
      home_.push_back(offset);
    }
  }

  room_ = slab_->size() - slab_->used();
  status = model_->use_memory(slab_->data(), slab_->size());
  if (!status.is_ok()) return status;

  return create_instances(begin);
}

ModelCore::~ModelCore() {
  process_state().timekeeper.remove(this);
  process_state().host.remove(&flight_);
  if (share_ != nullptr) share_->leave(share_member_);
  if (!share_id_.empty()) process_state().registry.remove(share_id_);
  ports_.clear();
  batches_.clear();
  model_.reset();
  slab_.reset();
  for (uint32_t slot = 0; slot < attributes_.size(); ++slot) drop_attributes(slot);
  descriptors_.reset();
  inputs_.reset();
  owners_.reset();
  std::lock_guard lock(end_->mutex);
  end_->done = true;
  end_->changed.notify_all();
}

std::string ModelCore::share() {
  std::lock_guard lock(ports_mutex_);
  if (share_id_.empty()) share_id_ = process_state().registry.add(shared_from_this());
  return share_id_;
}

std::byte* ModelCore::input_data(uint32_t slot, size_t index) noexcept {
  if ((descriptors_[slot].flags & Descriptor::kStaged) == 0) {
    return slab_->data() + home_[index] + slot * row_bytes_[index];
  }
  return slab_->data() + input(slot, index).extent - 1;
}

bool ModelCore::input_view(uint32_t slot, size_t index, RequestTensor* view) noexcept {
  const TensorSpec& spec = model_->spec().inputs[index];
  if ((descriptors_[slot].flags & Descriptor::kStaged) == 0) {
    view->data = input_data(slot, index);
    view->bytes = row_bytes_[index];
    view->shape.assign(spec.shape.begin(), spec.shape.end());
    if (batches()) view->shape[0] = 1;
    return true;
  }
  const InputRecord& record = input(slot, index);
  if (record.present == 0) return false;
  view->data = input_data(slot, index);
  view->bytes = record.bytes;
  view->shape.assign(record.shape, record.shape + record.rank);
  return true;
}

// --- ports ---------------------------------------------------------------------------------------------------------

Status ModelCore::add_port(std::shared_ptr<Port> port) {
  std::lock_guard lock(ports_mutex_);
  if (stopping_.load(std::memory_order_relaxed)) return Status::quiet(Code::kModelClosed, "the model is closed");
  // What may fail comes first: threads without a port would never end.
  ports_.reserve(ports_.size() + 1);
  if (!started_) {
    Status status = start_threads();
    if (!status.is_ok()) return status;
    started_ = true;
  }
  ports_.push_back(std::move(port));
  ++open_ports_;
  return Status::ok();
}

void ModelCore::port_finished(Port* port, uint64_t count) noexcept {
  port->finished(count);
  // seq_cst, here and in Port::close(): either the closing environment sees this count, or this thread sees that a
  // port is closing and looks whether it was the last to need it.
  if (closing_.load(std::memory_order_seq_cst) != 0) reap_ports();  // model: port.closing.look
}

void ModelCore::port_closed() noexcept {
  bool last = false;
  {
    std::lock_guard lock(ports_mutex_);
    last = --open_ports_ == 0;
    // Under the lock, so that no port is added to a core that stops. The loops of the instances pair with it.
    if (last) stopping_.store(true, std::memory_order_seq_cst);  // model: port_closed.stopping
  }
  // What the port had queued is dead now. It goes at once, since after the last port no leader comes any more. This is
  // the one place that waits for the token: as long as one forming takes.
  for (int tries = 0; !token_.try_lock(); ++tries) {  // model: port_closed.token
    if (tries < 100) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  drop_all_dead();
  token_.unlock();  // model: port_closed.hand_over, port_closed.reap
  hand_over();
  reap_ports();
  if (last) parking_.wake_all();  // model: port_closed.wake_all
  if (last && elastic_ != nullptr) elastic_->wake_all();
}

// Forgets the closed ports that no native thread uses any more.
void ModelCore::reap_ports() noexcept {
  const std::shared_ptr<ModelCore> alive = shared_from_this();  // a port may hold the last reference
  bool any = false;
  while (const std::shared_ptr<Port> reaped = reap_one()) any = true;  // destroyed after the lock
  std::shared_ptr<ModelCore> last_self;
  {
    std::lock_guard lock(ports_mutex_);
    if (ports_.empty() && stopping_.load(std::memory_order_relaxed)) last_self = std::move(self_);
  }
  // This may be an engine's own thread in its completion, or the timekeeper: they must not destroy the core under
  // themselves. So the timekeeper drops the last references of its own, once every completion has left.
  Timekeeper& timekeeper = process_state().timekeeper;
  if (last_self) {
    timekeeper.bury(std::move(last_self));
  } else if (any && timekeeper.on_its_thread()) {
    timekeeper.bury(alive);
  }
}

// Takes one such port out of the list. Native threads come here: it allocates nothing.
std::shared_ptr<Port> ModelCore::reap_one() noexcept {
  std::lock_guard lock(ports_mutex_);
  for (size_t i = 0; i < ports_.size(); ++i) {
    Port& port = *ports_[i];
    if (!port.reapable()) continue;
    const auto fold = [](std::atomic<uint64_t>& to, const std::atomic<uint64_t>& more) {
      to.fetch_add(more.load(std::memory_order_relaxed), std::memory_order_relaxed);
    };
    fold(retired_counts_.submitted, port.counts.submitted);
    fold(retired_counts_.succeeded, port.counts.succeeded);
    fold(retired_counts_.failed, port.counts.failed);
    fold(retired_counts_.cancelled, port.counts.cancelled);
    fold(retired_counts_.expired, port.counts.expired);
    fold(retired_counts_.refused, port.counts.refused);
    for (uint32_t stage = 0; stage < kStages; ++stage) retired_stages_[stage].fold(port.stages[stage]);
    // What had ended and nobody read, its environment being gone, was given up as well.
    uint64_t unread = port.counts.submitted.load(std::memory_order_relaxed);
    for (const auto* count :
         {&port.counts.succeeded, &port.counts.failed, &port.counts.cancelled, &port.counts.expired}) {
      unread -= std::min(unread, count->load(std::memory_order_relaxed));
    }
    retired_counts_.cancelled.fetch_add(unread, std::memory_order_relaxed);
    port.drop_parts();
    for (uint32_t slot = 0; slot < slot_count_; ++slot) {
      if (owners_[slot].load(std::memory_order_relaxed) != &port) continue;
      port.drop_outputs(slot);  // ended, and its environment went without reading it
      // model: word.drop_js.reap
      descriptors_[slot].state.drop_js(RequestWord::generation(descriptors_[slot].state.load()));
      recycle_to_pool(slot);
    }
    std::shared_ptr<Port> reaped = std::move(ports_[i]);
    ports_.erase(ports_.begin() + static_cast<ptrdiff_t>(i));
    closing_.fetch_sub(1, std::memory_order_seq_cst);  // model: port.reap
    return reaped;
  }
  return nullptr;
}

void ModelCore::ask_for_slots(Port* port) noexcept {
  // Once a millisecond: whoever is refused may try again at once, and the others have their own work to do.
  const int64_t now = monotonic_ns();
  int64_t asked = asked_ns_.load(std::memory_order_relaxed);
  if (now - asked < 1'000'000 || !asked_ns_.compare_exchange_strong(asked, now, std::memory_order_relaxed)) return;
  each_port([&](Port& other) {
    if (&other != port) other.ask_for_slots();
  });
}

ModelCore::Running ModelCore::running() const noexcept {
  Running running;
  for (const auto& batch : batches_) {
    const int64_t since = batch->running_since();
    if (since == 0) continue;
    ++running.batches;
    if (running.since_ns == 0 || since < running.since_ns) running.since_ns = since;
  }
  return running;
}

void ModelCore::reset_stats() {
  std::vector<uint64_t> now(Histogram::kCounters);
  std::lock_guard lock(ports_mutex_);
  reset_outcomes_ = outcomes_ever();
  for (uint32_t stage = 0; stage < kStages; ++stage) {
    std::fill(now.begin(), now.end(), 0);
    uint64_t max = 0;
    reset_sums_[stage] = 0;
    stage_ever(stage, now.data(), &reset_sums_[stage], &max);
    uint64_t* before = reset_stages_.data() + size_t{stage} * Histogram::kCounters;
    for (uint32_t i = 0; i < Histogram::kCounters; ++i) {
      if (before[i] != now[i]) before[i] = now[i];  // pages of zeros stay untouched
    }
    for (const auto& port : ports_) port->stages[stage].forget_max();
  }
  batch_counts.count = batch_counts.rows = batch_counts.in_place = 0;
  for (auto& reason : batch_counts.by_reason) reason = 0;
  flight_.rows.reset_counts();
  model_->reset_stages();
}

ModelCore::Outcomes ModelCore::outcomes_ever() noexcept {
  Outcomes sum{};
  const auto add = [&](const PortCounts& from) {
    size_t i = 0;
    for (const auto* count :
         {&from.submitted, &from.succeeded, &from.failed, &from.cancelled, &from.expired, &from.refused}) {
      sum[i++] += count->load(std::memory_order_relaxed);
    }
  };
  add(retired_counts_);
  for (const auto& port : ports_) add(port->counts);
  return sum;
}

void ModelCore::stage_ever(uint32_t stage, uint64_t* counts, uint64_t* sum, uint64_t* max) const noexcept {
  retired_stages_[stage].add_to(counts, sum, max);
  for (const auto& port : ports_) port->stages[stage].add_to(counts, sum, max);
}

ModelCore::Outcomes ModelCore::outcomes() noexcept {
  std::lock_guard lock(ports_mutex_);
  Outcomes sum = outcomes_ever();
  for (uint32_t i = 0; i < kOutcomes; ++i) sum[i] -= std::min(sum[i], reset_outcomes_[i]);
  return sum;
}

void ModelCore::stage(uint32_t stage, uint64_t* counts, uint64_t* sum, uint64_t* max) noexcept {
  std::lock_guard lock(ports_mutex_);
  stage_ever(stage, counts, sum, max);
  const uint64_t* before = reset_stages_.data() + size_t{stage} * Histogram::kCounters;
  for (uint32_t i = 0; i < Histogram::kCounters; ++i) {
    if (counts[i] != 0) counts[i] -= std::min(counts[i], before[i]);
  }
  *sum -= std::min(*sum, reset_sums_[stage]);
}

ModelCore::Outcomes ModelCore::totals(const std::vector<int64_t>& thresholds_ns, std::vector<uint64_t>* within,
                                      uint64_t* measured) {
  std::vector<uint64_t> counts(Histogram::kCounters, 0);
  uint64_t sum = 0, max = 0;
  Outcomes outcomes;
  {
    std::lock_guard lock(ports_mutex_);
    outcomes = outcomes_ever();
    stage_ever(kStages - 1, counts.data(), &sum, &max);
  }
  // The counts below each counter: one pass for all thresholds.
  for (uint32_t i = 1; i < Histogram::kCounters; ++i) counts[i] += counts[i - 1];
  within->clear();
  for (const int64_t threshold : thresholds_ns) {
    const uint64_t value = threshold < 0 ? 0 : std::min(static_cast<uint64_t>(threshold), Histogram::kHighest);
    within->push_back(counts[Histogram::index_of(value)]);
  }
  *measured = counts.back();
  return outcomes;
}

bool ModelCore::set_attributes(uint32_t slot, std::unique_ptr<RequestAttributes> attributes) noexcept {
  if (attributes_.size() == 0) return false;
  delete std::exchange(attributes_[slot], attributes.release());
  return true;
}

void ModelCore::release_extents(uint32_t slot) noexcept {
  drop_attributes(slot);
  for (size_t index = 0; index < input_count_; ++index) {
    InputRecord& record = input(slot, index);
    if (record.extent == 0) continue;
    if (options_.poison) std::memset(slab_->data() + record.extent - 1, 0xDB, record.capacity);
    slab_->release(record.extent - 1);
    record.extent = 0;
  }
}

void ModelCore::recycle_to_pool(uint32_t slot) noexcept {
  release_extents(slot);                                    // model: slot.release_extents
  owners_[slot].store(nullptr, std::memory_order_relaxed);  // model: slot.disown
  descriptors_[slot].state.recycle();
  pool_.push(slot);  // model: slot.pool
}

}  // namespace subten
