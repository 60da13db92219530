// A look at a shared library before the loader maps it.
#pragma once

#include <string>
#include <vector>

namespace subten {

// What is wrong with the file as a shared library for this machine, or empty. The loader maps segments without
// comparing them with the file's length, so a truncated library ends the process with SIGBUS; this finds it first.
// It reads headers only: bytes changed in the middle go unnoticed.
std::string shared_library_problem(const std::string& path);

// The names of the libraries that the file needs (DT_NEEDED); none when it is no shared library.
std::vector<std::string> needed_libraries(const std::string& path);

}  // namespace subten
