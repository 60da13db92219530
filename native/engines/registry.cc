#include <array>

#include "engines/engine.h"
#include "engines/null/null_engine.h"
#include "engines/onnxruntime/onnxruntime_engine.h"

namespace subten {

std::span<Engine* const> all_engines() noexcept {
  static const std::array<Engine*, 2> engines = {
      onnxruntime_engine(),
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

const std::string* find_parameter(const EngineOptions& options, std::string_view name) noexcept {
  for (const auto& [key, value] : options.parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

}  // namespace subten
