#include "engines/onnxruntime/model_metadata.h"

#include "engines/onnxruntime/ort_error.h"

namespace subten {
namespace {

// Longest text kept: licences and label lists are welcome, whole files are not.
constexpr size_t kMaxTextBytes = 64 * 1024;

std::string kept(const char* text) {
  std::string value(text);
  if (value.size() > kMaxTextBytes) value.resize(kMaxTextBytes);
  return value;
}

using KeyArray = std::unique_ptr<char*, OrtTextRelease>;

void read_custom_keys(const OrtModelMetadata* metadata, std::vector<std::pair<std::string, std::string>>* out) {
  char** raw_keys = nullptr;
  int64_t count = 0;
  if (OrtError error(ort().ModelMetadataGetCustomMetadataMapKeys(metadata, ort_allocator(), &raw_keys, &count));
      error || raw_keys == nullptr) {
    return;
  }
  const KeyArray keys(raw_keys);
  std::vector<OrtText> owners;
  for (int64_t index = 0; index < count; ++index) owners.emplace_back(raw_keys[index]);
  for (const OrtText& key : owners) {
    char* raw_value = nullptr;
    if (OrtError error(ort().ModelMetadataLookupCustomMetadataMap(metadata, ort_allocator(), key.get(), &raw_value));
        error || raw_value == nullptr) {
      continue;
    }
    const OrtText value(raw_value);
    out->emplace_back("custom." + kept(key.get()), kept(value.get()));
  }
}

}  // namespace

void read_model_metadata(const OrtSession* session, std::vector<std::pair<std::string, std::string>>* out) {
  OrtModelMetadata* raw_metadata = nullptr;
  if (OrtError error(ort().SessionGetModelMetadata(session, &raw_metadata)); error) return;
  const OrtOwned<OrtModelMetadata> metadata(raw_metadata);

  const std::pair<const char*, OrtMetadataText> texts[] = {
      {"producer", ort().ModelMetadataGetProducerName},
      {"graph", ort().ModelMetadataGetGraphName},
      {"domain", ort().ModelMetadataGetDomain},
      {"description", ort().ModelMetadataGetDescription},
      {"graph description", ort().ModelMetadataGetGraphDescription},
  };
  for (const auto& [name, get_text] : texts) {
    char* raw_text = nullptr;
    if (OrtError error(get_text(metadata.get(), ort_allocator(), &raw_text)); error || raw_text == nullptr) continue;
    const OrtText text(raw_text);
    if (*text != '\0') out->emplace_back(name, kept(text.get()));
  }
  int64_t version = 0;
  if (OrtError error(ort().ModelMetadataGetVersion(metadata.get(), &version)); !error && version != INT64_MAX) {
    // INT64_MAX stands for "none" in ONNX Runtime.
    out->emplace_back("model version", std::to_string(version));
  }
  read_custom_keys(metadata.get(), out);
}

}  // namespace subten
