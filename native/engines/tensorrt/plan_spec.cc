#include "engines/tensorrt/plan_spec.h"

#include <algorithm>

#include "engines/common/json.h"

namespace subten {
namespace {

bool type_of(std::string_view name, DataType* out) noexcept {
  for (size_t i = 0; i < kDataTypeCount; ++i) {
    if (datatype_name(static_cast<DataType>(i)) != name) continue;
    *out = static_cast<DataType>(i);
    return true;
  }
  return false;
}

Status not_supported(std::string sentence) { return Status::error(Code::kNotSupported, std::move(sentence)); }
Status config_invalid(std::string sentence) { return Status::error(Code::kConfigInvalid, std::move(sentence)); }

Status read_tensor(const Json& json, TensorSpec* out) {
  out->name = json.text_of("name");
  for (const Json& dim : json["shape"].items) out->shape.push_back(dim.integer(-1));
  if (json.true_of("host")) {
    return not_supported("The plan's tensor '" + out->name + "' holds a shape, on the host: subten does not run such.");
  }
  if (!json.true_of("linear")) {
    return not_supported("The plan's tensor '" + out->name +
                         "' has a vectorised format: build the plan with linear inputs and outputs.");
  }
  if (!type_of(json.text_of("datatype"), &out->type)) {
    return not_supported("The plan's tensor '" + out->name + "' has a type that requests cannot carry.");
  }
  if (out->shape.size() > kMaxRank) {
    return not_supported("The plan's tensor '" + out->name + "' has more than " + std::to_string(kMaxRank) +
                         " dimensions.");
  }
  return Status::ok();
}

std::string shape_text(const Json& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.items.size(); ++i) text += (i > 0 ? ", " : "") + shape.items[i].text;
  return text + "]";
}

std::string profile_text(const Json& profile) {
  std::string text;
  for (const JsonMember& input : profile.members) {
    if (!text.empty()) text += "; ";
    text += input.name + " ";
    for (size_t i = 0; i < input.value.items.size(); ++i) {
      text += (i > 0 ? ", " : "") + shape_text(input.value.items[i]);
    }
  }
  return text;
}

// The rows of a profile: what all its inputs with a batch dimension allow.
ProfileRows rows_of(const Json& profile, const ModelSpec& spec) {
  ProfileRows rows{1, 1, INT32_MAX};
  for (const TensorSpec& input : spec.inputs) {
    const std::vector<Json>& three = profile[input.name].items;
    if (three.size() != 3 || input.shape.empty() || input.shape[0] != -1) continue;
    const auto first = [&](size_t i) { return three[i].items.empty() ? 1 : three[i].items[0].integer(1); };
    rows.min = std::max(rows.min, first(0));
    rows.opt = std::max(rows.opt, first(1));
    rows.max = std::min(rows.max, first(2));
  }
  return rows;
}

std::string rows_text(const std::vector<ProfileRows>& profiles) {
  std::string text;
  for (const ProfileRows& rows : profiles) {
    if (rows.max < rows.min) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(rows.min) + " to " + std::to_string(rows.max);
  }
  return text.empty() ? "1" : text;
}

// Whether every tensor begins with a dynamic dimension, so that requests can be stacked.
bool can_batch(const ModelSpec& spec) noexcept {
  const auto leads = [](const TensorSpec& tensor) { return !tensor.shape.empty() && tensor.shape[0] == -1; };
  return !spec.inputs.empty() && std::all_of(spec.inputs.begin(), spec.inputs.end(), leads) &&
         std::all_of(spec.outputs.begin(), spec.outputs.end(), leads);
}

Status plan_tensors(int32_t max_batch_size, TensorrtPlanSpec* out) {
  LanePlan& lane = out->lane;
  lane.batches = max_batch_size > 0;
  for (const auto* specs : {&out->model.inputs, &out->model.outputs}) {
    for (const TensorSpec& spec : *specs) {
      const bool leads = !spec.shape.empty() && spec.shape[0] == -1;
      LaneTensor tensor;
      if (lane.batches && !leads) {
        return config_invalid("max_batch_size is " + std::to_string(max_batch_size) + ", but the plan's tensor '" +
                              spec.name + "' has no batch dimension. Set max_batch_size to 0.");
      }
      if (!lane.batches && leads) {
        return config_invalid("The plan's tensor '" + spec.name +
                              "' has a batch dimension: set max_batch_size in config.pbtxt or in the options of load.");
      }
      if (!lane_tensor(spec, lane.batches, &tensor)) {
        return not_supported("The plan's tensor '" + spec.name +
                             "' has unknown dimensions beside the batch; subten runs plans without.");
      }
      (specs == &out->model.inputs ? lane.inputs : lane.outputs).push_back(std::move(tensor));
    }
  }
  return Status::ok();
}

// The profiles that may be used, with no rows for the others.
Status profiles_of(const Json& profiles, const PlanUse& use, const ModelSpec& spec, std::vector<ProfileRows>* out) {
  const auto count = static_cast<int32_t>(profiles.items.size());
  for (const int32_t profile : use.profiles) {
    if (profile >= 0 && profile < count) continue;
    return config_invalid("instance_group names the optimisation profile " + std::to_string(profile) +
                          ", and the plan has " + std::to_string(count) + ", numbered from 0.");
  }
  for (int32_t i = 0; i < count; ++i) {
    const bool used =
        use.profiles.empty() || std::find(use.profiles.begin(), use.profiles.end(), i) != use.profiles.end();
    out->push_back(used ? rows_of(profiles.items[static_cast<size_t>(i)], spec) : ProfileRows{1, 0, 0});
  }
  return Status::ok();
}

Status plan_lane(const PlanUse& use, const Json& facts, TensorrtPlanSpec* out) {
  const Json& profiles = facts["profiles"];
  std::vector<ProfileRows> rows;
  if (Status status = profiles_of(profiles, use, out->model, &rows); !status.is_ok()) return status;
  int32_t most = use.max_batch_size;
  if (most < 0) {
    most = 0;
    for (const ProfileRows& each : rows) most = std::max(most, static_cast<int32_t>(each.max));
    if (!can_batch(out->model)) most = 0;
    out->model.max_batch_size = most;
  }
  if (Status status = plan_tensors(most, out); !status.is_ok()) return status;
  if (!out->lane.batches) {
    out->lane.sizes = {1};
    out->profiles = {use.profiles.empty() ? 0 : use.profiles.front()};
  } else {
    choose_sizes(rows, static_cast<uint32_t>(most), &out->lane.sizes, &out->profiles);
    if (out->lane.sizes.empty() || out->lane.sizes.back() < static_cast<uint32_t>(most)) {
      return config_invalid("max_batch_size is " + std::to_string(most) + ", but the plan was built for batches of " +
                            rows_text(rows) + ". Set it lower, or build the plan with a larger --profile.");
    }
  }
  const std::vector<Json>& memory = facts["profileMemory"].items;
  for (const int32_t profile : out->profiles) {
    const auto at = static_cast<size_t>(profile);
    const int64_t bytes = at < memory.size() ? memory[at].integer() : 0;
    out->context_memory = std::max(out->context_memory, static_cast<uint64_t>(std::max<int64_t>(bytes, 0)));
  }
  return Status::ok();
}

}  // namespace

void choose_sizes(const std::vector<ProfileRows>& profiles, uint32_t most, std::vector<uint32_t>* sizes,
                  std::vector<int32_t>* chosen) {
  std::vector<int64_t> wanted;
  for (const uint32_t size : lane_sizes(most)) wanted.push_back(size);
  for (const ProfileRows& rows : profiles) wanted.insert(wanted.end(), {rows.min, rows.opt, rows.max});
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  // A plan for larger batches only runs smaller ones padded, so the first size above `most` may be needed.
  for (const int64_t size : wanted) {
    if (size < 1 || (size > most && !sizes->empty() && sizes->back() >= most)) continue;
    int32_t best = -1;
    for (size_t i = 0; i < profiles.size(); ++i) {
      if (size < profiles[i].min || size > profiles[i].max) continue;
      const auto width = [&](const ProfileRows& rows) { return rows.max - rows.min; };
      if (best < 0 || width(profiles[i]) < width(profiles[static_cast<size_t>(best)])) best = static_cast<int32_t>(i);
    }
    if (best < 0) continue;
    sizes->push_back(static_cast<uint32_t>(size));
    chosen->push_back(best);
  }
}

Status read_plan_spec(std::string_view json, const PlanUse& use, TensorrtPlanSpec* out) {
  Json facts;
  if (!parse_json(json, &facts)) return Status::error(Code::kEngineFailed, "The plan's description cannot be read.");
  for (const Json& tensor : facts["tensors"].items) {
    TensorSpec spec;
    if (Status status = read_tensor(tensor, &spec); !status.is_ok()) return status;
    (tensor.true_of("input") ? out->model.inputs : out->model.outputs).push_back(std::move(spec));
  }
  if (out->model.inputs.size() > kMaxTensors || out->model.outputs.size() > kMaxTensors) {
    return not_supported("The plan has more than " + std::to_string(kMaxTensors) + " inputs or outputs.");
  }
  auto& metadata = out->model.metadata;
  if (const std::string_view name = facts.text_of("name"); !name.empty()) metadata.emplace_back("name", name);
  metadata.emplace_back("layers", std::to_string(facts.integer_of("layers")));
  metadata.emplace_back("hardware compatibility", facts.text_of("hardware"));
  metadata.emplace_back("refittable", facts.true_of("refittable") ? "yes" : "no");
  if (const int64_t bytes = facts.integer_of("streamableBytes"); bytes > 0) {
    metadata.emplace_back("streamable weights", std::to_string(bytes) + " bytes");
  }
  for (size_t i = 0; i < facts["profiles"].items.size(); ++i) {
    metadata.emplace_back("profile " + std::to_string(i), profile_text(facts["profiles"].items[i]));
  }
  if (Status status = plan_lane(use, facts, out); !status.is_ok()) return status;
  metadata.emplace_back("memory of a run", std::to_string(out->context_memory) + " bytes");
  return Status::ok();
}

}  // namespace subten
