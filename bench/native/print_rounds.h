// How the programs here print the figures of their rounds.
#pragma once

#include <cstddef>
#include <cstdio>
#include <vector>

// "name":[…], a member of a JSON object.
inline void print_rounds(const char* name, const std::vector<double>& each) {
  std::printf("\"%s\":[", name);
  for (size_t i = 0; i < each.size(); ++i) std::printf("%s%.3f", i == 0 ? "" : ",", each[i]);
  std::printf("]");
}
