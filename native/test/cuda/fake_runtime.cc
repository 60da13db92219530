// Stands for a library of CUDA: loaded, never called.
extern "C" __attribute__((visibility("default"))) int subten_fake_runtime() { return 99; }
