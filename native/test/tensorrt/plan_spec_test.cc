// Which batch sizes are made ready for a plan, and which plans and settings are refused.

#include "engines/tensorrt/plan_spec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace subten {
namespace {

struct Chosen {
  std::vector<uint32_t> sizes;
  std::vector<int32_t> profiles;
};

Chosen chosen(const std::vector<ProfileRows>& profiles, uint32_t most) {
  Chosen out;
  choose_sizes(profiles, most, &out.sizes, &out.profiles);
  return out;
}

std::string plan(const std::string& tensors, const std::string& profiles = "[{\"x\":[[1,4],[2,4],[8,4]]}]") {
  return "{\"name\":\"p\",\"layers\":3,\"tensors\":[" + tensors + "],\"profiles\":" + profiles +
         ",\"profileMemory\":[100,300]}";
}

std::string tensor(const std::string& name, bool input, const std::string& shape, const std::string& more = "") {
  return "{\"name\":\"" + name + "\",\"input\":" + (input ? "true" : "false") +
         ",\"datatype\":\"FP32\",\"linear\":true,\"shape\":" + shape + more + "}";
}

// x [n, 4] to y [n, 2].
std::string pair() { return tensor("x", true, "[-1,4]") + "," + tensor("y", false, "[-1,2]"); }

Status read(const std::string& json, const PlanUse& use, TensorrtPlanSpec* out) {
  return read_plan_spec(json, use, out);
}

Status refused(const std::string& json, const PlanUse& use = {8, {}}) {
  TensorrtPlanSpec spec;
  return read(json, use, &spec);
}

TEST(PlanSizes, are_powers_of_two_and_what_profiles_are_tuned_for) {
  const Chosen found = chosen({{1, 6, 16}}, 16);
  EXPECT_EQ(found.sizes, (std::vector<uint32_t>{1, 2, 4, 6, 8, 16}));
  EXPECT_EQ(found.profiles, (std::vector<int32_t>{0, 0, 0, 0, 0, 0}));
}

TEST(PlanSizes, go_to_the_narrowest_profile_that_has_them) {
  const Chosen found = chosen({{1, 8, 32}, {1, 1, 1}, {8, 16, 32}}, 32);
  EXPECT_EQ(found.sizes, (std::vector<uint32_t>{1, 2, 4, 8, 16, 32}));
  EXPECT_EQ(found.profiles, (std::vector<int32_t>{1, 0, 0, 2, 2, 2}));
}

TEST(PlanSizes, of_a_plan_for_larger_batches_only_are_padded_to) {
  EXPECT_EQ(chosen({{16, 16, 32}}, 8).sizes, (std::vector<uint32_t>{16}));
  EXPECT_EQ(chosen({{4, 8, 32}}, 5).sizes, (std::vector<uint32_t>{4, 5}));
}

TEST(PlanSizes, leave_out_profiles_that_may_not_be_used) {
  const Chosen found = chosen({{1, 0, 0}, {1, 2, 4}}, 4);
  EXPECT_EQ(found.sizes, (std::vector<uint32_t>{1, 2, 4}));
  EXPECT_EQ(found.profiles, (std::vector<int32_t>{1, 1, 1}));
}

TEST(PlanSpec, has_the_tensors_the_sizes_and_the_memory_of_a_run) {
  TensorrtPlanSpec spec;
  ASSERT_EQ(read(plan(pair(), "[{\"x\":[[1,4],[1,4],[1,4]]},{\"x\":[[1,4],[4,4],[8,4]]}]"), {8, {}}, &spec).message,
            "");
  ASSERT_EQ(spec.model.inputs.size(), 1U);
  EXPECT_EQ(spec.model.inputs[0].shape, (Shape{-1, 4}));
  EXPECT_EQ(spec.model.outputs[0].name, "y");
  EXPECT_EQ(spec.lane.sizes, (std::vector<uint32_t>{1, 2, 4, 8}));
  EXPECT_EQ(spec.profiles, (std::vector<int32_t>{0, 1, 1, 1}));
  EXPECT_EQ(spec.context_memory, 300U);
  EXPECT_EQ(spec.model.max_batch_size, 0);
}

TEST(PlanSpec, takes_the_largest_batch_of_the_plan_where_nobody_says_one) {
  TensorrtPlanSpec spec;
  ASSERT_EQ(read(plan(pair()), {-1, {}}, &spec).message, "");
  EXPECT_EQ(spec.model.max_batch_size, 8);
  EXPECT_TRUE(spec.lane.batches);
  TensorrtPlanSpec fixed;
  const std::string tensors = tensor("x", true, "[3,4]") + "," + tensor("y", false, "[3,2]");
  ASSERT_EQ(read(plan(tensors, "[]"), {-1, {}}, &fixed).message, "");
  EXPECT_EQ(fixed.model.max_batch_size, 0);
  EXPECT_FALSE(fixed.lane.batches);
  EXPECT_EQ(fixed.lane.sizes, (std::vector<uint32_t>{1}));
}

TEST(PlanSpec, uses_only_the_profiles_that_are_named) {
  const std::string two = plan(pair(), "[{\"x\":[[1,4],[1,4],[2,4]]},{\"x\":[[1,4],[4,4],[8,4]]}]");
  TensorrtPlanSpec spec;
  ASSERT_EQ(read(two, {8, {1}}, &spec).message, "");
  EXPECT_EQ(spec.profiles, (std::vector<int32_t>{1, 1, 1, 1}));
  const Status low = refused(two, {8, {0}});
  EXPECT_EQ(low.code, Code::kConfigInvalid);
  EXPECT_NE(low.message.find("built for batches of 1 to 2"), std::string::npos) << low.message;
  const Status none = refused(two, {8, {2}});
  EXPECT_EQ(none.code, Code::kConfigInvalid);
  EXPECT_NE(none.message.find("the plan has 2, numbered from 0"), std::string::npos) << none.message;
}

TEST(PlanSpec, refuses_batch_sizes_that_the_plan_does_not_have) {
  const Status high = refused(plan(pair()), {9, {}});
  EXPECT_EQ(high.code, Code::kConfigInvalid);
  EXPECT_NE(high.message.find("max_batch_size is 9"), std::string::npos) << high.message;
  const Status none = refused(plan(pair()), {0, {}});
  EXPECT_EQ(none.code, Code::kConfigInvalid);
  EXPECT_NE(none.message.find("'x' has a batch dimension"), std::string::npos) << none.message;
  const Status fixed = refused(plan(tensor("x", true, "[4]") + "," + tensor("y", false, "[-1,2]")), {8, {}});
  EXPECT_EQ(fixed.code, Code::kConfigInvalid);
  EXPECT_NE(fixed.message.find("Set max_batch_size to 0"), std::string::npos) << fixed.message;
}

TEST(PlanSpec, refuses_tensors_that_this_version_does_not_run) {
  const std::string y = "," + tensor("y", false, "[-1,2]");
  for (const std::string& x : {
           tensor("x", true, "[-1,-1]"),
           tensor("x", true, "[-1,4]", ",\"host\":true"),
           "{\"name\":\"x\",\"input\":true,\"datatype\":\"FP32\",\"linear\":false,\"shape\":[-1,4]}" + std::string(),
           "{\"name\":\"x\",\"input\":true,\"datatype\":\"\",\"linear\":true,\"shape\":[-1,4]}" + std::string(),
           tensor("x", true, "[-1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"),
       }) {
    const Status status = refused(plan(x + y));
    EXPECT_EQ(status.code, Code::kNotSupported) << x;
    EXPECT_NE(status.message.find("'x'"), std::string::npos) << status.message;
  }
  EXPECT_EQ(refused("no JSON").code, Code::kEngineFailed);
}

}  // namespace
}  // namespace subten
