#include <array>

#include "engines/engine.h"
#include "engines/null/null_engine.h"
#include "engines/onnxruntime/onnxruntime_engine.h"
#include "engines/tensorrt/tensorrt_engine.h"
#include "engines/triton/triton_engine.h"

namespace subten {

std::span<Engine* const> all_engines() noexcept {
  static const std::array<Engine*, 4> engines = {
      onnxruntime_engine(),
      tensorrt_engine(),
      triton_engine(),
      null_engine(),
  };
  return engines;
}

Engine* find_engine(std::string_view name) noexcept {
  for (Engine* engine : all_engines()) {
    if (engine->name() == name) return engine;
  }
  return nullptr;
}

Status Engine::call(std::string_view method, std::span<const std::string>, std::string*) {
  return Status::error(Code::kNotSupported,
                       "the engine " + std::string(name()) + " has no method '" + std::string(method) + "'");
}

const std::string& find_setting(const EngineOptions& options, std::string_view name) noexcept {
  static const std::string nothing;
  for (const auto& [key, value] : options.settings) {
    if (key == name) return value;
  }
  return nothing;
}

const std::string* find_parameter(const EngineOptions& options, std::string_view name) noexcept {
  for (const auto& [key, value] : options.parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace subten
