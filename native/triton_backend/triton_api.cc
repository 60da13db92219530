#include "triton_backend/triton_api.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace subten::triton_backend {
namespace {

// Process-wide and never destroyed; the backend's library is never unmapped either.
constinit std::mutex mutex;
constinit TritonApi loaded;
constinit std::atomic<const TritonApi*> current{nullptr};

void* find_symbol(void* library, const char* name) noexcept {
  void* symbol = library == nullptr ? nullptr : dlsym(library, name);
  return symbol != nullptr ? symbol : dlsym(RTLD_DEFAULT, name);
}

// The library `address` lies in, opened once more: its symbols and those of what it depends on.
void* library_of(const void* address) noexcept {
  Dl_info information{};
  if (dladdr(address, &information) == 0 || information.dli_fname == nullptr) return nullptr;
  return dlopen(information.dli_fname, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
}

// A caller that has not even errors is no Triton, and cannot be told.
Error* missing(const char* symbol) noexcept {
  char message[256];
  std::snprintf(message, sizeof(message), "This Triton has no %s: it is too old for this backend, update it.", symbol);
  if (loaded.TRITONSERVER_ErrorNew != nullptr) return loaded.TRITONSERVER_ErrorNew(ErrorCode::kUnsupported, message);
  std::fprintf(stderr, "%s\n", message);
  std::abort();
}

}  // namespace

// Acquire pairs with the release in load_api() and set_api(): whoever sees the table sees it whole.
const TritonApi& api() noexcept { return *current.load(std::memory_order_acquire); }

Error* load_api(const void* caller) noexcept {
  const std::lock_guard lock(mutex);
  if (current.load(std::memory_order_acquire) != nullptr) return nullptr;
  // Not closed: as long as we may call it, it must stay.
  void* const library = library_of(caller);
  const char* absent = nullptr;
  // NOLINTBEGIN(bugprone-macro-parentheses)
#define SUBTEN_TRITON_FIND(result, prefix, name, parameters) \
  loaded.prefix##_##name = reinterpret_cast<result(*) parameters>(find_symbol(library, #prefix "_" #name));
#define SUBTEN_TRITON_CHECK(result, prefix, name, parameters) \
  if (loaded.prefix##_##name == nullptr) absent = #prefix "_" #name;
  SUBTEN_TRITON_REQUIRED(SUBTEN_TRITON_FIND)
  SUBTEN_TRITON_OPTIONAL(SUBTEN_TRITON_FIND)
  SUBTEN_TRITON_REQUIRED(SUBTEN_TRITON_CHECK)
#undef SUBTEN_TRITON_FIND
#undef SUBTEN_TRITON_CHECK
  // NOLINTEND(bugprone-macro-parentheses)
  if (absent != nullptr) return missing(absent);
  loaded.cudaMemcpy = reinterpret_cast<decltype(loaded.cudaMemcpy)>(find_symbol(library, "cudaMemcpy"));
  current.store(&loaded, std::memory_order_release);
  return nullptr;
}

void set_api(const TritonApi* table) noexcept { current.store(table, std::memory_order_release); }

}  // namespace subten::triton_backend
