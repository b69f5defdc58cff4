// Independent tasks on several threads. Which thread takes which task decides nothing but the time.

#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "vector.hpp"

namespace namexp {

struct Task {
  void (*work)(const void* call, i64 item, char* workspace);
  const void* call;
  i64 item;
};

inline void run_tasks(const Task* tasks, i64 count, i64 threads, char* workspaces, i64 workspace_size) {
  std::atomic<i64> next{0};
  const auto work = [&](i64 thread) {
    char* const workspace = workspaces + thread * workspace_size;
    for (i64 i = next++; i < count; i = next++) tasks[i].work(tasks[i].call, tasks[i].item, workspace);
  };
  std::vector<std::thread> others;
  for (i64 thread = 1; thread < threads && thread < count; thread++) others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
}

// Pieces of one block of memory, each on a cache line of its own.
class Pieces {
 public:
  explicit Pieces(char* memory) : memory_(memory) {}

  template <class T>
  T* take(i64 count) {
    T* const piece = reinterpret_cast<T*>(memory_ + used_);
    used_ += (count * static_cast<i64>(sizeof(T)) + 63) / 64 * 64;
    return piece;
  }

  i64 used() const { return used_; }

 private:
  char* memory_;
  i64 used_ = 0;
};

}  // namespace namexp
