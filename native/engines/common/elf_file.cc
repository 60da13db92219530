#include "engines/common/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
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

std::vector<std::string> needed_libraries(const std::string& path) {
  std::vector<std::string> names;
  if (!shared_library_problem(path).empty()) return names;
  const File file(path);
  Elf64_Ehdr header;
  if (!file.read_at(0, &header)) return names;
  std::vector<Elf64_Phdr> segments;
  for (Elf64_Half index = 0; index < header.e_phnum; ++index) {
    Elf64_Phdr segment;
    if (!file.read_at(header.e_phoff + index * sizeof(Elf64_Phdr), &segment)) return names;
    segments.push_back(segment);
  }
  std::vector<uint64_t> needed;  // offsets in the table of strings
  uint64_t strings = 0;          // its address
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= segment.p_filesz; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      if (!file.read_at(segment.p_offset + at, &entry) || entry.d_tag == DT_NULL) break;
      if (entry.d_tag == DT_NEEDED) needed.push_back(entry.d_un.d_val);
      if (entry.d_tag == DT_STRTAB) strings = entry.d_un.d_ptr;
    }
  }
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_LOAD || strings < segment.p_vaddr || strings - segment.p_vaddr >= segment.p_filesz)
      continue;
    for (const uint64_t offset : needed) {
      std::array<char, 256> name{};
      const uint64_t from = segment.p_offset + (strings - segment.p_vaddr) + offset;
      const ssize_t read = pread(file.descriptor(), name.data(), name.size() - 1, static_cast<off_t>(from));
      if (read > 0) names.emplace_back(name.data());
    }
  }
  return names;
}

}  // namespace subten
