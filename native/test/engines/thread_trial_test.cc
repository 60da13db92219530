// When a small model gets one thread instead of the shared pool.

#include "engines/onnxruntime/thread_trial.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "engines/onnxruntime/onnxruntime_engine.h"

namespace subten {
namespace {

TEST(ThreadTrial, the_pool_pays_by_a_quarter_for_one_row_or_by_three_quarters_of_its_threads_for_a_batch) {
  EXPECT_FALSE(pool_pays({100, 0}, {100, 0}, 2));
  EXPECT_FALSE(pool_pays({100, 0}, {124, 0}, 2));
  EXPECT_TRUE(pool_pays({100, 0}, {125, 0}, 2));
  EXPECT_TRUE(pool_pays({100, 1000}, {100, 1500}, 2));
  EXPECT_FALSE(pool_pays({100, 1000}, {100, 1499}, 2));
  EXPECT_FALSE(pool_pays({100, 1000}, {100, 1500}, 4));
  EXPECT_TRUE(pool_pays({100, 1000}, {100, 3000}, 4));
}

std::string compute_threads(const std::string& model, int32_t max_batch_size, const char* set_threads) {
  EngineOptions options;
  options.model_path = std::string(SUBTEN_SOURCE_DIR) + "/" + model;
  options.library_path = std::getenv("SUBTEN_ONNXRUNTIME_LIB");
  options.max_batch_size = max_batch_size;
  if (set_threads != nullptr) options.parameters = {{"intra_op_thread_count", set_threads}};
  std::unique_ptr<EngineModel> opened;
  const Status status = onnxruntime_engine()->open(options, &opened);
  if (!status.is_ok()) return "not opened: " + status.message;
  for (const auto& [key, value] : opened->spec().metadata) {
    if (key == "compute threads") return value;
  }
  return "not measured";
}

TEST(ThreadTrial, is_made_for_small_models_that_run_on_zeros_and_leave_the_threads_open) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the library of ONNX Runtime is not instrumented";
#endif
  if (std::getenv("SUBTEN_ONNXRUNTIME_LIB") == nullptr) GTEST_SKIP() << "SUBTEN_ONNXRUNTIME_LIB names no library";
  if (onnxruntime_threads().compute_threads < 2) GTEST_SKIP() << "there is one processor, and no pool";
  // One row of a few microseconds: no pool makes it faster.
  EXPECT_EQ(compute_threads("models/mlp/1/model.onnx", 64, nullptr).rfind("1; measured at load", 0), 0u);
  EXPECT_EQ(compute_threads("models/mlp/1/model.onnx", 64, "2"), "not measured");
  EXPECT_EQ(compute_threads("test/data/onnx/fails_at_run.onnx", 0, nullptr), "not measured");
}

}  // namespace
}  // namespace subten
