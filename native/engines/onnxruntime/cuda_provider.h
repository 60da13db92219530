// Sessions on CUDA devices.
#pragma once

#include "engines/onnxruntime/ort_api.h"
#include "memory/status.h"

namespace subten {

// NOT_SUPPORTED when the loaded library, or what lies beside it, has no CUDA execution provider.
Status create_cuda_options(int device, OrtOwned<OrtCudaOptions>* out);

// Operators that CUDA has run on the device, the others on the CPU; the library copies tensors in CPU memory.
Status use_cuda(int device, OrtSessionOptions* options);

}  // namespace subten
