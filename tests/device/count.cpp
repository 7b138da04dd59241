// Counts the calls of each libtorch operation. Loaded with LD_PRELOAD; when the process exits, it writes "name count"
// lines to $COUNT_FILE.

#include <ATen/record_function.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace {

// Never destroyed: operations can run until the process exits.
std::mutex& lock = *new std::mutex;
std::map<std::string, long>& counts = *new std::map<std::string, long>;

std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& operation) {
  const std::lock_guard<std::mutex> guard(lock);
  counts[operation.name()]++;
  return nullptr;
}

void write() {
  std::FILE* file = std::fopen(std::getenv("COUNT_FILE"), "w");
  if (file == nullptr) return;
  for (const auto& [name, number] : counts) std::fprintf(file, "%s %ld\n", name.c_str(), number);
  std::fclose(file);
}

__attribute__((constructor)) void begin() {
  if (std::getenv("COUNT_FILE") == nullptr) return;
  at::addGlobalCallback(at::RecordFunctionCallback(count).scopes({at::RecordScope::FUNCTION}));
  std::atexit(write);
}

}  // namespace
