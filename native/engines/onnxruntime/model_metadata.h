// What a model file says about itself.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engines/onnxruntime/environment.h"
#include "engines/onnxruntime/ort_api.h"

namespace subten {

// Text that the library allocated for us.
struct OrtTextRelease {
  void operator()(void* text) const noexcept {
    // The default allocator's free does not fail.
    if (OrtStatus* status = ort().AllocatorFree(ort_allocator(), text); status != nullptr) ort().ReleaseStatus(status);
  }
};
using OrtText = std::unique_ptr<char, OrtTextRelease>;

// Appends producer, graph, domain, descriptions, version and the model's own keys (as `custom.KEY`); empty ones are
// left out, and so is what cannot be read: none of it is needed to serve.
void read_model_metadata(const OrtSession* session, std::vector<std::pair<std::string, std::string>>* out);

}  // namespace subten
