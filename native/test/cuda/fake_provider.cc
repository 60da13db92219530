// Stands for ONNX Runtime's CUDA provider: it needs a library of CUDA and is never loaded.
extern "C" int subten_fake_runtime();
extern "C" __attribute__((visibility("default"))) int subten_fake_provider() { return subten_fake_runtime(); }
