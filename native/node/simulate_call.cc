#include "node/simulate_call.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engines/common/json.h"
#include "node/text_worker.h"
#include "schedule/sim/simulator.h"

namespace subten {
namespace {

using sim::Options;

double number(const Json& json, double otherwise) {
  double value = otherwise;
  if (json.kind == Json::Kind::kNumber) std::from_chars(json.text.data(), json.text.data() + json.text.size(), value);
  return value;
}

// Reads members of an object, each within bounds; remembers the first that is not.
class Reader {
 public:
  Reader(const Json& json, std::string* problem) : json_(json), problem_(problem) {}
  template <typename T>
  void read(const char* name, T* value, double low, double high) const {
    const double read = number(json_[name], static_cast<double>(*value));
    if (!(read >= low && read <= high)) return complain(name);
    *value = static_cast<T>(read);
  }
  void read(const char* name, bool* value) const {
    if (json_.find(name) != nullptr) *value = json_.true_of(name);
  }
  template <typename T>
  void read_pair(const char* name, T* first, T* second, double low, double high) const {
    const Json& pair = json_[name];
    if (pair.items.size() != 2) return pair.kind == Json::Kind::kNull ? void() : complain(name);
    const double a = number(pair.items[0], -1), b = number(pair.items[1], -1);
    if (!(a >= low && b >= a && b <= high)) return complain(name);
    *first = static_cast<T>(a);
    *second = static_cast<T>(b);
  }
  template <typename Add>
  void each(const char* name, Add add) const {
    for (const Json& item : json_[name].items) {
      if (!add(item)) return complain(name);
    }
  }
  void complain(const char* name) const {
    if (problem_->empty()) *problem_ = name;
  }

 private:
  const Json& json_;
  std::string* problem_;
};

constexpr double kMostNs = 1e15;

// Pairs [time, factor], in ascending order of time.
bool read_changes(const Json& json, std::vector<sim::Change>* changes) {
  for (const Json& item : json.items) {
    if (item.items.size() != 2) return false;
    const double at = number(item.items[0], -1), factor = number(item.items[1], -1);
    if (!(at >= 0 && at <= kMostNs && factor > 0 && factor <= 1e6)) return false;
    if (!changes->empty() && static_cast<int64_t>(at) <= changes->back().at_ns) return false;
    changes->push_back({static_cast<int64_t>(at), factor});
  }
  return true;
}

// Empty, or what is wrong.
std::string read_options(const Json& json, Options* options) {
  std::string problem;
  const Reader top(json, &problem);
  top.read("targetNs", &options->target_ns, 1000, kMostNs);
  top.read("maxBatch", &options->max_batch, 1, 65536);
  top.read("maxQueue", &options->max_queue, 1, 1 << 20);
  top.read("probe", &options->probe, 0, 1e9);
  top.read("seed", &options->seed, 0, 9e15);

  const Json& load = json["load"];
  const Reader loads(load, &problem);
  const std::string_view kind = load.text_of("kind", "poisson");
  options->load.kind = kind == "constant" ? sim::LoadKind::kConstant
                       : kind == "gamma"  ? sim::LoadKind::kGamma
                       : kind == "trace"  ? sim::LoadKind::kTrace
                                          : sim::LoadKind::kPoisson;
  loads.read("rate", &options->load.rate, 1e-3, 1e9);
  loads.read("cv", &options->load.cv, 0.01, 100);
  loads.read("durationNs", &options->load.duration_ns, 1, kMostNs);
  loads.read("warmUpNs", &options->load.warm_up_ns, 0, kMostNs);
  loads.read_pair("rows", &options->load.rows_low, &options->load.rows_high, 1, options->max_batch);
  loads.read_pair("burnt", &options->load.burnt_low, &options->load.burnt_high, 0, 0.999);
  loads.read("budgetTold", &options->load.budget_told);
  loads.read("hard", &options->load.hard, 0, 1);
  if (!load["levels"].items.empty()) options->load.levels.clear();
  loads.each("levels", [&](const Json& item) {
    options->load.levels.push_back(number(item, -1));
    return options->load.levels.back() > 0 && options->load.levels.size() <= 64;
  });
  loads.each("traceNs", [&](const Json& item) {
    const double at = number(item, -1);
    if (!(at >= 0 && at <= kMostNs)) return false;
    if (!options->load.trace.empty() && static_cast<int64_t>(at) < options->load.trace.back()) return false;
    options->load.trace.push_back(static_cast<int64_t>(at));
    return true;
  });
  if (!read_changes(load["changes"], &options->load.changes)) loads.complain("changes");

  const Json& engine = json["engine"];
  const Reader engines(engine, &problem);
  engines.read("instances", &options->engine.instances, 1, 1024);
  engines.read("baseNs", &options->engine.base_ns, 0, kMostNs);
  engines.read("rowNs", &options->engine.row_ns, 0, kMostNs / 65536);
  engines.read("noise", &options->engine.noise, 0, 3);
  engines.each("paces", [&](const Json& item) {
    options->engine.paces.push_back(number(item, 0));
    return options->engine.paces.back() >= 0.01 && options->engine.paces.back() <= 100;
  });
  engines.each("table", [&](const Json& item) {
    if (item.items.size() != 2) return false;
    const double rows = number(item.items[0], 0), ns = number(item.items[1], 0);
    if (!(rows >= 1 && rows <= 65536 && ns >= 1 && ns <= kMostNs)) return false;
    auto& table = options->engine.table;
    if (!table.empty() && static_cast<uint32_t>(rows) <= table.back().first) return false;
    table.emplace_back(static_cast<uint32_t>(rows), static_cast<int64_t>(ns));
    return true;
  });
  if (!read_changes(engine["drifts"], &options->engine.drifts)) engines.complain("drifts");
  if (!read_changes(engine["stalls"], &options->engine.stalls)) engines.complain("stalls");

  const Json& policy = json["policy"];
  const Reader policies(policy, &problem);
  constexpr std::string_view kKinds[] = {"slo", "none", "static", "aimd", "regression", "clockwork", "symphony"};
  bool known = false;
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    if (policy.text_of("kind", "slo") != kKinds[i]) continue;
    options->policy.kind = static_cast<sim::PolicyKind>(i);
    known = true;
  }
  if (!known) policies.complain("kind");
  policies.read("delayNs", &options->policy.delay_ns, 0, kMostNs);
  policies.read("expires", &options->policy.expires);
  policies.each("preferred", [&](const Json& item) {
    options->policy.preferred.push_back(static_cast<uint32_t>(std::clamp(number(item, 0), 0.0, 65536.0)));
    return options->policy.preferred.back() >= 1;
  });
  options->policy.latency_seed = policy.text_of("latencyTable");
  return problem;
}

void add(std::string* text, std::string_view name, double value) {
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  if (text->back() != '{') *text += ',';
  *text += '"';
  *text += name;
  *text += "\":";
  if (error == std::errc() && value == value) text->append(digits, end);
}

void add_list(std::string* text, const char* name, const std::vector<uint32_t>& values) {
  *text += ",\"" + std::string(name) + "\":[";
  for (size_t i = 0; i < values.size(); ++i) *text += (i > 0 ? "," : "") + std::to_string(values[i]);
  *text += ']';
}

std::string write_figures(const Options& options, const sim::Figures& figures) {
  std::string text = "{";
  const auto count = [&](const char* name, uint64_t value) { add(&text, name, static_cast<double>(value)); };
  count("offered", figures.offered);
  count("admitted", figures.admitted);
  count("refused", figures.refused);
  count("queueFull", figures.queue_full);
  count("dropped", figures.dropped);
  count("expired", figures.expired);
  count("late", figures.late);
  count("good", figures.good);
  count("probed", figures.probed);
  count("probedGood", figures.probed_good);
  count("batches", figures.batches);
  count("rows", figures.rows);
  add(&text, "busyNs", static_cast<double>(figures.busy_ns));
  add(&text, "spanNs", static_cast<double>(figures.span_ns));
  add(&text, "saturation", sim::saturation(options));
  for (const auto& [name, q] :
       {std::pair("P50", 0.5), std::pair("P90", 0.9), std::pair("P99", 0.99), std::pair("P999", 0.999)}) {
    add(&text, std::string("answered") + name, static_cast<double>(figures.answered.quantile(q)));
    add(&text, std::string("admitted") + name, static_cast<double>(figures.admitted_all.quantile(q)));
  }
  count("windowNs", sim::Figures::kWindowNs);
  add_list(&text, "offeredSeries", figures.offered_series);
  add_list(&text, "goodSeries", figures.good_series);
  return text + "}";
}

class SimulateWorker final : public TextWorker {
 public:
  SimulateWorker(Napi::Env env, std::string text) : TextWorker(env), text_(std::move(text)) {}

  void Execute() override {
    try {
      Json json;
      Options options;
      if (!parse_json(text_, &json) || json.kind != Json::Kind::kObject) {
        status_ = Status::quiet(Code::kInvalidInput, "the options of a simulation must be a JSON object");
        return;
      }
      std::string problem = read_options(json, &options);
      sim::Figures figures;
      if (!problem.empty()) {
        status_ = Status::error(Code::kInvalidInput, "simulation: '" + problem + "' is not in its range");
      } else if (!sim::simulate(options, &figures)) {
        status_ = Status::quiet(Code::kOutOfMemory, "there was no memory left for a simulation");
      } else {
        answer_ = write_figures(options, figures);
      }
    } catch (...) {
      status_ = Status::quiet(Code::kOutOfMemory, "there was no memory left for a simulation");
    }
  }

 private:
  std::string text_;
};

}  // namespace

Napi::Value simulate_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return {env, or_out_of_memory(env, [&]() -> napi_value {
            std::string text = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : std::string();
            return TextWorker::start(std::make_unique<SimulateWorker>(env, std::move(text)));
          })};
}

}  // namespace subten
