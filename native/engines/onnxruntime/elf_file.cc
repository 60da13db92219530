#include "engines/onnxruntime/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace subten {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#else
constexpr Elf64_Half kMachine = EM_NONE;
#endif

class File {
 public:
  explicit File(const std::string& path) noexcept : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const noexcept { return descriptor_; }
  template <typename T>
  bool read_at(uint64_t offset, T* value) const noexcept {
    return pread(descriptor_, value, sizeof(T), static_cast<off_t>(offset)) == static_cast<ssize_t>(sizeof(T));
  }

 private:
  int descriptor_;
};

// offset + bytes <= size, without overflow.
bool lies_within(uint64_t offset, uint64_t bytes, uint64_t size) noexcept {
  return offset <= size && bytes <= size - offset;
}

}  // namespace

std::string shared_library_problem(const std::string& path) {
  const File file(path);
  if (file.descriptor() < 0) return std::string("cannot be opened: ") + std::strerror(errno);
  struct stat information {};
  if (fstat(file.descriptor(), &information) != 0) return std::string("cannot be read: ") + std::strerror(errno);
  if (!S_ISREG(information.st_mode)) return "is not a file";
  const auto size = static_cast<uint64_t>(information.st_size);

  Elf64_Ehdr header;
  if (!file.read_at(0, &header)) return "is too short to be a shared library";
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "is not a shared library (no ELF header)";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || (kMachine != EM_NONE && header.e_machine != kMachine)) {
    return "is built for another processor";
  }
  if (header.e_type != ET_DYN) return "is not a shared library";
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return "is corrupt (program headers)";
  for (Elf64_Half index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment;
    if (!file.read_at(header.e_phoff + index * sizeof(Elf64_Phdr), &segment)) return "is truncated";
    if (segment.p_type == PT_LOAD && !lies_within(segment.p_offset, segment.p_filesz, size)) return "is truncated";
  }
  // Section headers come last in a file and are optional: where they are announced, their end shows a cut tail.
  const uint64_t section_bytes = static_cast<uint64_t>(header.e_shnum) * header.e_shentsize;
  if (header.e_shoff != 0 && !lies_within(header.e_shoff, section_bytes, size)) return "is truncated";
  return {};
}

}  // namespace subten
