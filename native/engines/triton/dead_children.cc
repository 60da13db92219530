#include "engines/triton/dead_children.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace subten {

std::set<pid_t> dead_python_stubs() {
  std::set<pid_t> dead;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::string line;
    std::ifstream file(entry.path() / "stat");
    if (!std::getline(file, line)) continue;
    // "pid (name) state parent …"; a name is cut to 15 characters and may contain anything.
    const size_t name = line.find('(');
    const size_t after = line.rfind(") ");
    if (name == std::string::npos || after == std::string::npos || after + 2 >= line.size()) continue;
    char state = 0;
    int parent = 0;
    if (std::sscanf(line.c_str() + after + 2, "%c %d", &state, &parent) != 2) continue;
    if (state == 'Z' && parent == ::getpid() && line.compare(name + 1, 15, "triton_python_b") == 0) dead.insert(pid);
  }
  return dead;
}

}  // namespace subten
