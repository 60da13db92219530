#include "schedule/latency_model.h"

#include <algorithm>
#include <bit>
#include <charconv>

namespace subten {
namespace {

constexpr uint32_t kExact = 64;
constexpr uint32_t kPerDoubling = 16;
// A seed counts as so many batches: enough to be believed, few enough to be outweighed soon.
constexpr uint32_t kSeedSamples = 4;
constexpr int64_t kUnit = 125;  // nanoseconds
constexpr std::string_view kHead = "subten-latency/1 ";

}  // namespace

uint32_t LatencyModel::cell_of(uint32_t rows) noexcept {
  if (rows <= kExact) return rows == 0 ? 0 : rows - 1;
  // rows in (64 * 2^d, 64 * 2^(d+1)]: the step of that doubling is 4 * 2^d.
  const uint32_t doubling = static_cast<uint32_t>(std::bit_width((rows - 1) / kExact)) - 1;
  const uint32_t start = kExact << doubling;
  const uint32_t step = start / kPerDoubling;
  return kExact + doubling * kPerDoubling + (rows - start - 1) / step;
}

uint32_t LatencyModel::rows_of(uint32_t cell) noexcept {
  if (cell < kExact) return cell + 1;
  const uint32_t doubling = (cell - kExact) / kPerDoubling;
  const uint32_t start = kExact << doubling;
  return start + ((cell - kExact) % kPerDoubling + 1) * (start / kPerDoubling);
}

uint32_t LatencyModel::class_of(uint64_t elements) noexcept {
  if (elements <= 1) return 0;
  return std::min<uint32_t>(kShapeClasses - 1, (static_cast<uint32_t>(std::bit_width(elements)) - 1) / 3);
}

bool LatencyModel::initialise(uint32_t batch_capacity, uint32_t classes) noexcept {
  try {
    capacity_ = std::max<uint32_t>(1, batch_capacity);
    classes_ = classes;
    cells_ = cell_of(capacity_) + 1;
    cell_values_.assign(size_t{classes_} * cells_, Cell{});
    published_ = std::vector<Published>(cell_values_.size());
    evidence_.resize(cells_);
    best_rate_ = std::vector<std::atomic<double>>(classes_);
    best_rows_ = std::vector<std::atomic<uint32_t>>(classes_);
    for (auto& rows : best_rows_) rows.store(1, std::memory_order_relaxed);
    return true;
  } catch (...) {
    return false;
  }
}

void LatencyModel::put(Cell* cell, int64_t latency_ns) noexcept {
  cell->us_8[cell->count % kWindow] = static_cast<int32_t>(std::clamp<int64_t>(latency_ns / kUnit, 1, INT32_MAX));
  ++cell->count;
  std::array<int32_t, kWindow> sorted;
  const uint32_t n = std::min(cell->count, kWindow);
  std::copy_n(cell->us_8.begin(), n, sorted.begin());
  std::sort(sorted.begin(), sorted.begin() + n);
  cell->typical = sorted[(n - 1) / 2] * kUnit;
  // Of a full window the third largest; of few samples the largest but one, so that a single stall is none.
  const uint32_t above = n >= 24 ? 2 : n >= 4 ? 1 : 0;
  cell->high = sorted[n - 1 - above] * kUnit;
}

void LatencyModel::observe(uint32_t shape, uint32_t rows, int64_t latency_ns) noexcept {
  if (shape >= classes_ || rows == 0) return;
  Cell& cell = cell_values_[shape * cells_ + cell_of(std::min(rows, capacity_))];
  // What is out of date and wrong says nothing any more: a size that was avoided for being slow begins anew.
  const bool stale = cell.count > 0 && observations_ - cell.last > kStale;
  if (stale && (2 * latency_ns < cell.typical || latency_ns > 2 * cell.high)) cell.count = 0;
  put(&cell, latency_ns);
  cell.last = ++observations_;
  publish(shape);
}

// Whether what is known of another size counts for more: it is newer by kStale, or rests on enough batches where this
// one, slow perhaps for being the first, does not.
bool LatencyModel::outweighs(const Evidence& other, const Evidence& own) noexcept {
  return other.last > own.last + kStale || (other.firm && !own.firm);
}

// The next cell with samples after `cell`, or cells_.
uint32_t LatencyModel::seen_above(uint32_t shape, uint32_t cell) const noexcept {
  do {
    ++cell;
  } while (cell < cells_ && cell_at(shape, cell).count == 0);
  return cell;
}

LatencyEstimate LatencyModel::estimate(uint32_t shape, uint32_t rows) const noexcept {
  if (shape >= classes_ || !known(shape)) return {};
  const uint32_t own = cell_of(std::clamp<uint32_t>(rows, 1, capacity_));
  const Cell& seen = cell_at(shape, own);
  if (seen.count > 0) return {seen.typical, seen.high, seen.count, Basis::kMeasured};
  const Values values = published(shape, rows);
  return {values.typical, values.high, 0, seen_above(shape, own) < cells_ ? Basis::kBetween : Basis::kBeyond};
}

void LatencyModel::publish(uint32_t shape) noexcept {
  // From the largest down: what a size takes, or what a larger one does if more is known of that.
  Evidence above{INT64_MAX, INT64_MAX, 0, false};
  for (uint32_t cell = cells_; cell-- > 0;) {
    const Cell& own = cell_at(shape, cell);
    const Evidence seen{own.typical, own.high, own.last, own.count >= kSeedSamples};
    if (own.count == 0) {
      evidence_[cell] = above;
      evidence_[cell].last = 0;
      continue;
    }
    if (outweighs(above, seen)) {
      above = {std::min(seen.typical, above.typical), std::min(seen.high, above.high), above.last, true};
    } else {
      above = seen;
    }
    evidence_[cell] = above;
  }
  if (above.typical == INT64_MAX) return;  // nothing was seen yet
  // And up again: nor more than a smaller size does in proportion, nor less than that.
  Evidence below{0, 0, 0, false};
  uint32_t below_rows = 0;
  Values least{0, 0};
  double best = 0;
  uint32_t best_rows = 1;
  for (uint32_t cell = 0; cell < cells_; ++cell) {
    const uint32_t rows = std::min(rows_of(cell), capacity_);
    const bool seen = cell_at(shape, cell).count > 0;
    Evidence own = evidence_[cell];
    if (below_rows > 0 && (!seen || outweighs(below, own))) {
      const double times = static_cast<double>(rows) / below_rows;
      own.typical = std::min(own.typical, static_cast<int64_t>(static_cast<double>(below.typical) * times));
      own.high = std::min(own.high, static_cast<int64_t>(static_cast<double>(below.high) * times));
      own.last = std::max(own.last, below.last);
      own.firm = below.firm;
    }
    least.typical = std::max(least.typical, own.typical);
    least.high = std::max({least.high, own.high, least.typical});
    Published& to = published_[shape * cells_ + cell];
    to.typical.store(least.typical, std::memory_order_relaxed);
    to.high.store(least.high, std::memory_order_relaxed);
    if (!seen) continue;
    below = own;
    below_rows = rows;
    // Only what was seen can be the best: a value that is taken from another size says nothing of the rate.
    if (rows / static_cast<double>(least.typical) > best * 1.001) {
      best = rows / static_cast<double>(least.typical);
      best_rows = rows;
    }
  }
  best_rate_[shape].store(best, std::memory_order_relaxed);
  best_rows_[shape].store(best_rows, std::memory_order_relaxed);
}

LatencyModel::Values LatencyModel::published(uint32_t shape, uint32_t rows) const noexcept {
  if (shape >= classes_) shape = classes_ - 1;
  const Published& from = published_[shape * cells_ + cell_of(std::clamp<uint32_t>(rows, 1, capacity_))];
  return {from.typical.load(std::memory_order_relaxed), from.high.load(std::memory_order_relaxed)};
}

double LatencyModel::best_rate(uint32_t shape) const noexcept {
  return best_rate_[std::min(shape, classes_ - 1)].load(std::memory_order_relaxed);
}

uint32_t LatencyModel::best_rows(uint32_t shape) const noexcept {
  return best_rows_[std::min(shape, classes_ - 1)].load(std::memory_order_relaxed);
}

std::string LatencyModel::save() const {
  std::string text(kHead);
  each_measured([&](uint32_t shape, uint32_t rows, const LatencyEstimate& e) {
    if (e.samples < kSeedSamples) return;
    text += std::to_string(shape) + ":" + std::to_string(rows) + ":" + std::to_string(e.typical_ns) + ":" +
            std::to_string(e.high_ns) + ";";
  });
  return text;
}

void LatencyModel::seed(std::string_view text) noexcept {
  if (!text.starts_with(kHead)) return;
  const char* at = text.data() + kHead.size();
  const char* const end = text.data() + text.size();
  while (at < end) {
    std::array<int64_t, 4> value{};
    for (size_t i = 0; i < value.size(); ++i) {
      const auto [next, error] = std::from_chars(at, end, value[i]);
      if (error != std::errc() || next == end || *next != (i + 1 < value.size() ? ':' : ';')) return;
      at = next + 1;
    }
    const auto [shape, rows, typical, high] = value;
    if (shape < 0 || shape >= classes_ || rows < 1 || rows > capacity_ || typical < kUnit || high < typical) return;
    Cell& cell = cell_values_[static_cast<size_t>(shape) * cells_ + cell_of(static_cast<uint32_t>(rows))];
    if (cell.count > 0) continue;  // measured in this process already
    for (uint32_t i = 0; i + 2 < kSeedSamples; ++i) put(&cell, typical);
    for (uint32_t i = 0; i < 2; ++i) put(&cell, high);
    publish(static_cast<uint32_t>(shape));
  }
}

}  // namespace subten
