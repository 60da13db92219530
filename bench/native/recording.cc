// What does one record in the product's latency histogram cost?
//
//   recording RECORDS ROUNDS     →  {"alone_ns":[…],"read_ns":[…]}, nanoseconds a record, by round
//
// The values are those of a service, log-normal around 100 µs over three powers of ten, made beforehand: neither the
// cache nor the branch predictor may know the next one. alone: nobody reads. read: another thread takes one snapshot
// after another meanwhile.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "metrics/clock.h"
#include "metrics/histogram.h"
#include "print_rounds.h"

namespace {

constexpr size_t kValues = 1 << 16;

double record_all(subten::Histogram* histogram, const std::vector<int64_t>& values, size_t records) {
  const int64_t start = subten::monotonic_ns();
  for (size_t i = 0; i < records; ++i) histogram->record(values[i % kValues]);
  return static_cast<double>(subten::monotonic_ns() - start) / static_cast<double>(records);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: recording RECORDS ROUNDS\n"), 2;
  const auto records = static_cast<size_t>(std::atoll(argv[1]));
  const int rounds = std::atoi(argv[2]);
  subten::Histogram histogram;
  if (!histogram.initialise()) return std::perror("recording"), 1;
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> service(11.5, 1.2);
  std::vector<int64_t> values(kValues);
  for (int64_t& value : values) value = static_cast<int64_t>(service(random));

  std::vector<double> alone, read;
  record_all(&histogram, values, records);
  for (int round = 0; round < rounds; ++round) {
    alone.push_back(record_all(&histogram, values, records));
    std::atomic<bool> over{false};
    std::thread reader([&] {
      std::vector<uint64_t> counts(subten::Histogram::kCounters);
      while (!over) {
        uint64_t sum = 0, max = 0;
        std::fill(counts.begin(), counts.end(), 0);
        histogram.add_to(counts.data(), &sum, &max);
      }
    });
    read.push_back(record_all(&histogram, values, records));
    over = true;
    reader.join();
  }
  // What was recorded is there: nothing was optimised away.
  std::vector<uint64_t> counts(subten::Histogram::kCounters);
  uint64_t sum = 0, max = 0;
  histogram.add_to(counts.data(), &sum, &max);
  const auto summary = subten::summarise(counts.data(), sum, max);
  if (summary.count != records * static_cast<size_t>(2 * rounds + 1))
    return std::fprintf(stderr, "records are lost\n"), 1;
  std::printf("{");
  print_rounds("alone_ns", alone);
  std::printf(",");
  print_rounds("read_ns", read);
  std::printf("}\n");
}
