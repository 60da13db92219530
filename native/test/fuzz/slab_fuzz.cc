// The slab against a plain model of it: extents never overlap, keep their bytes, and all come back.

#include <algorithm>
#include <map>
#include <memory>

#include "fuzz_bytes.h"
#include "memory/slab.h"

namespace subten {
namespace {

struct Extent {
  uint64_t bytes;
  uint32_t references;
  uint8_t mark;
};

void run(FuzzBytes in) {
  std::shared_ptr<Slab> slab;
  if (!Slab::create((1 + in.below(32)) * 4096, &slab).is_ok()) return;
  std::map<uint64_t, Extent> live;
  const auto release = [&](std::map<uint64_t, Extent>::iterator extent) {
    slab->release(extent->first);
    if (--extent->second.references > 0) return;
    live.erase(extent);
  };
  const auto intact = [&](uint64_t offset, const Extent& extent) {
    const std::byte* data = slab->data() + offset;
    must(extent.bytes == 0 || (data[0] == std::byte{extent.mark} && data[extent.bytes - 1] == std::byte{extent.mark}),
         "an extent was overwritten");
  };
  while (!in.empty()) {
    const uint8_t what = in.byte();
    if (what < 128 || live.empty()) {
      const uint64_t bytes = what < 120 ? in.take<uint16_t>() : in.take<uint64_t>();
      const uint64_t offset = slab->allocate(bytes);
      if (offset == Slab::kNowhere) {
        must(!live.empty() || Slab::extent_bytes(bytes) > slab->size(), "an empty slab refused what fits");
        continue;
      }
      must(offset % Slab::kAlignment == 0 && offset + bytes <= slab->size(), "an extent outside the slab");
      const auto after = live.lower_bound(offset);
      must(after == live.end() || offset + bytes <= after->first, "extents overlap");
      must(after == live.begin() || std::prev(after)->first + std::prev(after)->second.bytes <= offset,
           "extents overlap");
      std::memset(slab->data() + offset, what, bytes);
      live.emplace(offset, Extent{bytes, 1, what});
      continue;
    }
    auto extent = std::next(live.begin(), in.byte() % live.size());
    intact(extent->first, extent->second);
    if (what < 150) {
      const uint32_t count = 1 + in.below(3);
      slab->retain(extent->first, count);
      extent->second.references += count;
    } else {
      release(extent);
    }
    uint64_t used = 0;
    for (const auto& [offset, each] : live) used += Slab::extent_bytes(each.bytes);
    must(slab->used() == used, "the slab counts other bytes than there are");
  }
  while (!live.empty()) {
    intact(live.begin()->first, live.begin()->second);
    release(live.begin());
  }
  must(slab->used() == 0, "bytes are left in an empty slab");
  must(slab->allocate(slab->size()) == 0 || Slab::extent_bytes(slab->size()) > slab->size(),
       "an empty slab is not in one piece again");
}

}  // namespace
}  // namespace subten

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  subten::run({data, size});
  return 0;
}
