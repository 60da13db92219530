// What TensorRT's headers need of CUDA's: the names of two handles. Found in the place of CUDA's own header, so that
// nothing of CUDA is needed to build.
#pragma once

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
