// The CUDA layer against a driver of ours (fake_driver.h): what it calls, and what it does when the driver fails.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "engines/cuda/device.h"
#include "engines/cuda/driver_api.h"
#include "engines/cuda/graph.h"
#include "engines/cuda/pinned_region.h"
#include "engines/cuda/stream.h"
#include "fake_driver.h"

namespace subten {
namespace {

fake_cuda::Driver& fake() {
  static fake_cuda::Driver* const driver = [] {
    void* handle = dlopen(SUBTEN_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(handle, nullptr) << dlerror();
    return reinterpret_cast<fake_cuda::GetDriver>(dlsym(handle, "subten_fake_cuda"))();
  }();
  return *driver;
}

class CudaLayer : public testing::Test {
 protected:
  void SetUp() override {
    setenv("SUBTEN_CUDA_DRIVER", SUBTEN_FAKE_CUDA, 1);
    fake().reset();
  }
  // Everything that was made is gone again, whatever failed.
  void TearDown() override {
    EXPECT_EQ(fake().contexts, 0);
    EXPECT_EQ(fake().streams, 0);
    EXPECT_EQ(fake().events, 0);
    EXPECT_EQ(fake().graphs, 0);
    EXPECT_EQ(fake().pushed, 0);
    EXPECT_TRUE(fake().registered.empty());
    EXPECT_TRUE(fake().memory.empty());
  }
};

// First, since a driver that has started stays started in this process.
TEST_F(CudaLayer, a_missing_driver_is_engine_not_found_and_is_looked_for_again_later) {
  setenv("SUBTEN_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
  const CudaDriver* driver = nullptr;
  Status status = load_cuda_driver(&driver);
  EXPECT_EQ(status.code, Code::kEngineNotFound);
  EXPECT_NE(status.message.find("no CUDA driver"), std::string::npos) << status.message;
  EXPECT_NE(status.message.find("/nowhere/libcuda.so.1"), std::string::npos) << status.message;

  setenv("SUBTEN_CUDA_DRIVER", SUBTEN_FAKE_CUDA, 1);
  fake().init_result = 100;
  status = load_cuda_driver(&driver);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("sees no device"), std::string::npos) << status.message;

  fake().init_result = 803;
  status = load_cuda_driver(&driver);
  EXPECT_EQ(status.code, Code::kNotSupported);
  EXPECT_NE(status.message.find("does not start"), std::string::npos) << status.message;

  fake().init_result = 0;
  EXPECT_EQ(load_cuda_driver(&driver).message, "");
  const size_t starts = fake().count("cuInit");
  EXPECT_EQ(load_cuda_driver(&driver).message, "");
  EXPECT_EQ(fake().count("cuInit"), starts);
  EXPECT_EQ(cuda_driver_version(*driver), 13000);
}

TEST_F(CudaLayer, devices_are_described_by_name_uuid_capability_and_memory) {
  fake().devices = {{"Fake H100", 9, 0, uint64_t{80} << 30}, {"Fake L4", 8, 9, uint64_t{24} << 30}};
  std::vector<CudaDevice> devices;
  ASSERT_EQ(list_cuda_devices(&devices).message, "");
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(describe(devices[0]), "Fake H100 (compute 9.0, 80.0 GiB)");
  EXPECT_EQ(devices[1].ordinal, 1);
  EXPECT_EQ(devices[1].uuid, "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1");
  EXPECT_EQ(devices[1].multiprocessors, 132);
}

TEST_F(CudaLayer, a_device_that_is_not_there_is_config_invalid_with_the_number_of_devices) {
  CudaDevice device;
  const Status status = find_cuda_device(3, &device);
  EXPECT_EQ(status.code, Code::kConfigInvalid);
  EXPECT_NE(status.message.find("There is no CUDA device 3; the driver shows 1"), std::string::npos) << status.message;
  EXPECT_EQ(find_cuda_device(-1, &device).code, Code::kConfigInvalid);
}

TEST_F(CudaLayer, a_driver_that_describes_no_device_is_engine_failed) {
  fake().failures["cuDeviceTotalMem_v2"] = 719;
  CudaDevice device;
  EXPECT_EQ(find_cuda_device(0, &device).code, Code::kEngineFailed);
}

TEST_F(CudaLayer, a_region_is_page_locked_as_long_as_its_owner_lives) {
  std::vector<char> memory(4096);
  {
    PinnedRegion region;
    ASSERT_EQ(region.lock(0, memory.data(), memory.size()).message, "");
    EXPECT_TRUE(region.locked());
    EXPECT_EQ(fake().registered.at(memory.data()), 4096U);
    EXPECT_EQ(fake().contexts, 1);
  }
  EXPECT_TRUE(fake().registered.empty());
}

TEST_F(CudaLayer, memory_that_cannot_be_locked_is_an_error_and_leaves_no_context_behind) {
  std::vector<char> memory(4096);
  PinnedRegion region;
  fake().failures["cuMemHostRegister_v2"] = 2;
  const Status status = region.lock(0, memory.data(), memory.size());
  EXPECT_EQ(status.code, Code::kOutOfMemory);
  EXPECT_NE(status.message.find("cannot be page-locked"), std::string::npos) << status.message;
  EXPECT_FALSE(region.locked());
  EXPECT_EQ(fake().contexts, 0);
  EXPECT_EQ(region.lock(0, memory.data(), memory.size()).message, "");  // the next try works
}

TEST_F(CudaLayer, a_stream_copies_in_and_out_in_order_and_tells_its_end_to_a_host_function) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  fake().task_delay_us = 200;
  const std::vector<float> in{1, 2, 3, 4};
  std::vector<float> out(4);
  DeviceBuffer buffer;
  ASSERT_EQ(stream->allocate(16, &buffer).message, "");
  ASSERT_EQ(stream->copy_in(buffer, in.data(), 16).message, "");
  ASSERT_EQ(stream->copy_out(out.data(), buffer, 16).message, "");
  std::atomic<bool> told{false};
  // Release pairs with the acquire below: whoever sees `told` sees the copies.
  ASSERT_EQ(
      stream
          ->notify([](void* flag) { static_cast<std::atomic<bool>*>(flag)->store(true, std::memory_order_release); },
                   &told)
          .message,
      "");
  bool idle = true;
  ASSERT_EQ(stream->idle(&idle).message, "");
  EXPECT_FALSE(idle);
  while (!told.load(std::memory_order_acquire)) std::this_thread::yield();
  EXPECT_EQ(out, in);
  ASSERT_EQ(stream->finish().message, "");
  ASSERT_EQ(stream->idle(&idle).message, "");
  EXPECT_TRUE(idle);
  EXPECT_FALSE(stream->lost());
}

TEST_F(CudaLayer, events_time_a_stage_and_order_two_streams) {
  std::unique_ptr<CudaStream> copies;
  std::unique_ptr<CudaStream> work;
  ASSERT_EQ(CudaStream::create(0, &copies).message, "");
  ASSERT_EQ(CudaStream::create(0, &work).message, "");
  fake().task_delay_us = 1000;
  CudaEvent start;
  CudaEvent end;
  ASSERT_EQ(start.create(*copies, true).message, "");
  ASSERT_EQ(end.create(*copies, true).message, "");
  const int in = 42;
  int out = 0;
  DeviceBuffer buffer;
  ASSERT_EQ(copies->allocate(sizeof(in), &buffer).message, "");
  ASSERT_EQ(copies->record(start).message, "");
  ASSERT_EQ(copies->copy_in(buffer, &in, sizeof(in)).message, "");
  ASSERT_EQ(copies->record(end).message, "");
  ASSERT_EQ(work->wait(end).message, "");
  ASSERT_EQ(work->copy_out(&out, buffer, sizeof(out)).message, "");
  bool reached = true;
  ASSERT_EQ(end.reached(&reached).message, "");
  EXPECT_FALSE(reached);
  ASSERT_EQ(work->finish().message, "");
  EXPECT_EQ(out, 42);
  float ms = 0;
  ASSERT_EQ(end.elapsed_ms(start, &ms).message, "");
  EXPECT_GT(ms, 0.5F);
}

TEST_F(CudaLayer, no_memory_on_the_device_fails_one_batch_and_the_next_goes_on) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  DeviceBuffer buffer;
  const Status status = stream->allocate(uint64_t{2} << 30, &buffer);
  EXPECT_EQ(status.code, Code::kOutOfMemory);
  EXPECT_EQ(buffer.address(), 0U);
  EXPECT_FALSE(stream->lost());
  EXPECT_EQ(stream->allocate(64, &buffer).message, "");
}

TEST_F(CudaLayer, a_failed_copy_is_an_error_and_the_stream_goes_on) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  DeviceBuffer buffer;
  ASSERT_EQ(stream->allocate(8, &buffer).message, "");
  const int64_t in = 7;
  fake().failures["cuMemcpyHtoDAsync_v2"] = 1;
  EXPECT_EQ(stream->copy_in(buffer, &in, 8).code, Code::kEngineFailed);
  EXPECT_FALSE(stream->lost());
  EXPECT_EQ(stream->copy_in(buffer, &in, 8).message, "");
  EXPECT_EQ(stream->copy_in(buffer, &in, 9).code, Code::kEngineFailed);  // longer than the buffer: not called at all
}

TEST_F(CudaLayer, a_lost_device_is_said_once_and_for_all_and_everything_is_still_given_back) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  DeviceBuffer buffer;
  ASSERT_EQ(stream->allocate(8, &buffer).message, "");
  fake().lost = 719;
  const Status status = stream->finish();
  EXPECT_EQ(status.code, Code::kEngineFailed);
  EXPECT_NE(status.message.find("lost to this process"), std::string::npos) << status.message;
  EXPECT_TRUE(stream->lost());
  DeviceBuffer second;
  EXPECT_EQ(stream->allocate(8, &second).code, Code::kEngineFailed);
}

TEST_F(CudaLayer, a_stream_that_cannot_be_made_leaves_nothing_behind) {
  std::unique_ptr<CudaStream> stream;
  fake().failures["cuStreamCreate"] = 2;
  EXPECT_EQ(CudaStream::create(0, &stream).code, Code::kOutOfMemory);
  EXPECT_EQ(stream, nullptr);
  fake().failures["cuDevicePrimaryCtxRetain"] = 2;
  EXPECT_EQ(CudaStream::create(0, &stream).code, Code::kOutOfMemory);
}

TEST_F(CudaLayer, a_recorded_run_runs_when_it_is_launched_and_not_before) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  DeviceBuffer buffer;
  ASSERT_EQ(stream->allocate(4, &buffer).message, "");
  const float in = 7;
  float out = 0;
  const auto work = [&] {
    Status status = stream->copy_in(buffer, &in, 4);
    return status.is_ok() ? stream->copy_out(&out, buffer, 4) : status;
  };
  CudaGraph graph;
  ASSERT_EQ(CudaGraph::record(*stream, work, &graph).message, "");
  ASSERT_EQ(stream->finish().message, "");
  EXPECT_EQ(out, 0);
  for (int i = 0; i < 2; ++i) {
    out = 0;
    ASSERT_EQ(graph.launch().message, "");
    ASSERT_EQ(stream->finish().message, "");
    EXPECT_EQ(out, 7);
  }
}

TEST_F(CudaLayer, a_recording_that_fails_leaves_the_stream_running_and_nothing_behind) {
  std::unique_ptr<CudaStream> stream;
  ASSERT_EQ(CudaStream::create(0, &stream).message, "");
  DeviceBuffer buffer;
  ASSERT_EQ(stream->allocate(4, &buffer).message, "");
  const float in = 7;
  float out = 0;
  for (const char* call :
       {"cuStreamBeginCapture_v2", "cuMemcpyHtoDAsync_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"}) {
    fake().failures[call] = 1;
    CudaGraph graph;
    EXPECT_EQ(CudaGraph::record(
                  *stream, [&] { return stream->copy_in(buffer, &in, 4); }, &graph)
                  .code,
              Code::kEngineFailed)
        << call;
    EXPECT_FALSE(graph.recorded()) << call;
    out = 0;
    ASSERT_EQ(stream->copy_in(buffer, &in, 4).message, "") << call;
    ASSERT_EQ(stream->copy_out(&out, buffer, 4).message, "") << call;
    ASSERT_EQ(stream->finish().message, "") << call;
    EXPECT_EQ(out, 7) << call;
  }
}

}  // namespace
}  // namespace subten
