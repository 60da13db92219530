#include "flight/slow_log.h"

#include <algorithm>

namespace subten {

// In pieces, so that an environment which has a slow request meanwhile seldom finds the lock taken.
void SlowLog::read(uint64_t since, std::vector<SlowRequest>* out) const {
  constexpr uint32_t kPiece = 16;
  const auto first = static_cast<std::ptrdiff_t>(out->size());
  for (uint32_t from = 0; from < entries_.size(); from += kPiece) {
    const std::lock_guard lock(mutex_);
    const uint32_t to = std::min<uint32_t>(from + kPiece, static_cast<uint32_t>(entries_.size()));
    for (uint32_t i = from; i < to; ++i) {
      if (entries_[i].sequence > since) out->push_back(entries_[i]);
    }
  }
  const auto by_number = [](const SlowRequest& a, const SlowRequest& b) { return a.sequence < b.sequence; };
  std::sort(out->begin() + first, out->end(), by_number);
  const auto same = [](const SlowRequest& a, const SlowRequest& b) { return a.sequence == b.sequence; };
  out->erase(std::unique(out->begin() + first, out->end(), same), out->end());
}

}  // namespace subten
