// Counts allocations. Preloaded (LD_PRELOAD) it stands before malloc; as an addon, `counts()` tells what it saw:
// { all, addon, threads, node }: by the whole process; by code in subten.node (its C++ library is linked into it); by
// anything that runs on a thread named subten-…; and of these, by node: its program, or the C++ library that it shares
// with nobody while no engine library is loaded. glibc only.
#include <dlfcn.h>
#include <link.h>
#include <node_api.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

std::atomic<uint64_t> all{0}, by_addon{0}, on_threads{0}, by_node{0};

// Where the code of a library or program lies.
struct Code {
  std::atomic<uintptr_t> low{0}, high{0};
  bool holds(uintptr_t at) const {
    return at >= low.load(std::memory_order_relaxed) && at < high.load(std::memory_order_relaxed);
  }
};
Code addon, program, library;

void count(void* caller) {
  all.fetch_add(1, std::memory_order_relaxed);
  const auto at = reinterpret_cast<uintptr_t>(caller);
  if (addon.holds(at)) by_addon.fetch_add(1, std::memory_order_relaxed);
  thread_local const bool main = syscall(SYS_gettid) == getpid();
  if (main) return;
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  if (std::strncmp(name, "subten-", 7) != 0) return;
  on_threads.fetch_add(1, std::memory_order_relaxed);
  if (program.holds(at) || library.holds(at)) by_node.fetch_add(1, std::memory_order_relaxed);
}

// The program itself comes first, without a name.
int find_code(dl_phdr_info* info, size_t, void*) {
  const bool is_addon = std::strstr(info->dlpi_name, "subten.node") != nullptr;
  const bool is_library = std::strstr(info->dlpi_name, "libstdc++.so") != nullptr;
  if (!is_addon && !is_library && info->dlpi_name[0] != '\0') return 0;
  Code& code = is_addon ? addon : is_library ? library : program;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 || code.high != 0) continue;
    code.low = info->dlpi_addr + segment.p_vaddr;
    code.high = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
  }
  return is_addon;
}

napi_value counts(napi_env env, napi_callback_info) {
  if (addon.high == 0) dl_iterate_phdr(find_code, nullptr);
  napi_value result;
  napi_create_object(env, &result);
  const auto add = [&](const char* name, double value) {
    napi_value number;
    napi_create_double(env, value, &number);
    napi_set_named_property(env, result, name, number);
  };
  add("all", static_cast<double>(all.load()));
  add("addon", addon.high == 0 ? -1 : static_cast<double>(by_addon.load()));
  add("threads", static_cast<double>(on_threads.load()));
  add("node", static_cast<double>(by_node.load()));
  return result;
}

}  // namespace

extern "C" {

void* malloc(size_t size) {
  count(__builtin_return_address(0));
  return __libc_malloc(size);
}
void* calloc(size_t number, size_t size) {
  count(__builtin_return_address(0));
  return __libc_calloc(number, size);
}
void* realloc(void* old, size_t size) {
  count(__builtin_return_address(0));
  return __libc_realloc(old, size);
}
void* memalign(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
  count(__builtin_return_address(0));
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

}  // extern "C"

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "counts", NAPI_AUTO_LENGTH, counts, nullptr, &function);
  napi_set_named_property(env, exports, "counts", function);
  return exports;
}
