// What the CUDA provider needs, against a provider and a CUDA runtime of ours that do nothing.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "engines/onnxruntime/cuda_libraries.h"

namespace subten {
namespace {

// A folder like ONNX Runtime's; the path of its library, which need not exist.
class Folder {
 public:
  explicit Folder(bool with_provider) : path_(std::filesystem::temp_directory_path() / "subten-cuda-libraries-test") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ / "packages" / "cuda" / "lib");
    if (with_provider) std::filesystem::copy(SUBTEN_FAKE_PROVIDER, path_ / "libonnxruntime_providers_cuda.so");
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void add_runtime() {
    std::filesystem::copy(SUBTEN_FAKE_CUDART, path_ / "packages" / "cuda" / "lib" / "libcudart.so.99");
  }
  std::string library() const { return path_ / "libonnxruntime.so.1"; }
  std::string packages() const { return path_ / "packages"; }

 private:
  std::filesystem::path path_;
};

TEST(CudaLibraries, a_library_without_a_provider_beside_it_is_not_supported) {
  const Folder folder(false);
  const Status status = load_cuda_libraries(folder.library(), "", 99000);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("has no CUDA execution provider"), std::string::npos) << status.message;
}

TEST(CudaLibraries, a_driver_older_than_the_provider_needs_is_not_supported_with_both_versions) {
  const Folder folder(true);
  const Status status = load_cuda_libraries(folder.library(), "", 12080);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("made for CUDA 12.8"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("needs CUDA 99"), std::string::npos) << status.message;
}

// In this order: what is loaded once is found by its name from then on.
TEST(CudaLibraries, a_missing_library_is_named_and_found_once_its_packages_are_named) {
  Folder folder(true);
  Status status = load_cuda_libraries(folder.library(), folder.packages(), 99000);
  EXPECT_EQ(status.code, Code::kEngineNotFound);
  EXPECT_NE(status.message.find("needs libcudart.so.99"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find(kCudaLibraryVariable), std::string::npos) << status.message;

  folder.add_runtime();
  setenv(kCudaLibraryVariable, folder.packages().c_str(), 1);
  status = load_cuda_libraries(folder.library(), "", 99000);
  unsetenv(kCudaLibraryVariable);
  EXPECT_EQ(status.message, "");
}

TEST(CudaLibraries, the_provider_of_tensorrt_is_looked_for_beside_that_of_cuda_and_its_libraries_where_it_is_named) {
  const Folder folder(true);
  Status status = load_tensorrt_libraries(folder.library(), "", 99000);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("has no TensorRT execution provider"), std::string::npos) << status.message;

  // The name that the fake provider needs is in memory since the test before, so it is found.
  const std::filesystem::path beside = std::filesystem::path(folder.library()).parent_path();
  std::filesystem::copy(SUBTEN_FAKE_PROVIDER, beside / "libonnxruntime_providers_tensorrt.so");
  EXPECT_EQ(load_tensorrt_libraries(folder.library(), "", 99000).message, "");
  status = load_tensorrt_libraries(folder.library(), "", 12080);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("needs CUDA 99"), std::string::npos) << status.message;
}

}  // namespace
}  // namespace subten
