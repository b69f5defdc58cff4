// W vectors as a square of floats, transposed in registers.

#pragma once

#include <utility>

#include "vector.hpp"

namespace namexp {

// Lane i of the result is lane lane[i] of a and b, counted one after the other.
template <int... lane>
INLINE V shuffled(V a, V b, std::integer_sequence<int, lane...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, lane...);
#else
  return __builtin_shuffle(a, b, VI{lane...});
#endif
}

// a0 b0 a1 b1 ... from the lower half of the lanes, or from the upper one.
template <int first, int... i>
INLINE V interleaved(V a, V b, std::integer_sequence<int, i...>) {
  return shuffled(a, b, std::integer_sequence<int, (first + i / 2 + (i % 2 ? W : 0))...>{});
}

// Interleaving rows i and i + W / 2 rotates the bits of (row, lane) by one: log2(W) times exchange them.
INLINE void transpose(V (&rows)[W]) {
  constexpr std::make_integer_sequence<int, W> lanes{};
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    V next[W];
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; i++) {
      next[2 * i] = interleaved<0>(rows[i], rows[i + W / 2], lanes);
      next[2 * i + 1] = interleaved<W / 2>(rows[i], rows[i + W / 2], lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) rows[i] = next[i];
  }
}

}  // namespace namexp
