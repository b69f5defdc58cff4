// Threads that share one job after another, each too short to begin threads for it.

#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "vector.hpp"

namespace namexp {

// Threads that take pieces of a job. One that the machine does not let run holds up nobody, unless it has a
// piece; who computes a piece decides nothing but the time.
class Team {
 public:
  using Job = std::function<void(i64 piece, i64 thread)>;

  explicit Team(i64 threads) {
    for (i64 thread = 1; thread < threads; thread++) others_.emplace_back([this, thread] { help(thread); });
  }

  ~Team() {
    stop_.store(true, std::memory_order_release);
    for (std::thread& other : others_) other.join();
  }

  i64 threads() const { return static_cast<i64>(others_.size()) + 1; }

  void run(i64 pieces, const Job& job) {
    job_ = &job;
    unfinished_.store(pieces, std::memory_order_relaxed);
    waiting_.store(pieces, std::memory_order_release);
    while (take(0)) continue;
    for (int spin = 0; unfinished_.load(std::memory_order_acquire) > 0; spin++) rest(spin);
  }

 private:
  static constexpr int SPINS = 4000;  // longer means that the machine is busy with something else

  static void rest(int spin) {
    if (spin > SPINS) std::this_thread::yield();
  }

  bool take(i64 thread) {
    i64 piece = waiting_.load(std::memory_order_acquire);
    do {
      if (piece == 0) return false;
    } while (!waiting_.compare_exchange_weak(piece, piece - 1, std::memory_order_acq_rel));
    (*job_)(piece - 1, thread);
    unfinished_.fetch_sub(1, std::memory_order_release);
    return true;
  }

  void help(i64 thread) {
    for (int spin = 0; !stop_.load(std::memory_order_acquire); spin++) {
      if (take(thread)) spin = 0;
      rest(spin);
    }
  }

  const Job* job_ = nullptr;
  std::atomic<i64> waiting_{0}, unfinished_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> others_;
};

}  // namespace namexp
