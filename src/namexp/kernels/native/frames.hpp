// Frames of signals into the lanes of vectors, and back.
//
// Two frames in a row, a pair, are one complex signal: the first is its real part. A lane is a pair.

#pragma once

#include <algorithm>

#include "fft.hpp"
#include "transpose.hpp"

namespace namexp {

// One short-time Fourier transform: frames centred on every hop-th sample.
template <int n, int hop, int window>
struct Resolution {
  static constexpr int N = n, HOP = hop, WINDOW = window;
  static constexpr int BINS = n / 2 + 1;
  static constexpr int M = n / radix_of(n);              // bins of a block after the first step
  static constexpr int LEFT = (n - window) / 2;          // samples of a frame before its window
  static constexpr int SPAN = (window + W - 1) / W * W;  // samples of a window, whole vectors
  static constexpr int REACH = SPAN + hop;               // of a pair
  static_assert(2 * hop >= W, "pairs must not reach the same samples in one step");
  static_assert(LEFT + REACH <= n, "a pair must lie within the borders of its first frame");

  static i64 num_frames(i64 samples) { return samples / hop + 1; }
  static i64 num_pairs(i64 samples) { return (num_frames(samples) + 1) / 2; }

  // Whether the W samples of a pair from the i-th on are in both of its frames.
  static bool inner(int i) { return i >= hop && i + W <= SPAN; }
};

// Where W pairs begin, and which of them have a second frame (1, else 0).
template <class T>
struct Lanes {
  T* pairs[W];
  V second;
};

// W samples of each pair from the i-th on, windowed. Windows are halved here, so that the spectra of
// the frames are sums and differences of bins.
template <class R, bool inner>
INLINE void gather_block(const Lanes<const float>& from, const float* window, int i, float* z) {
  V rows[W];
#pragma GCC unroll 16
  for (int lane = 0; lane < W; lane++) rows[lane] = load(from.pairs[lane] + i);
  transpose(rows);
#pragma GCC unroll 16
  for (int j = 0; j < W; j++) {
    const int a = i + j, b = a - R::HOP;  // sample of the first frame, and of the second
    if (inner || a < R::SPAN) store(at(z, a), rows[j] * splat(0.5f * window[a]));
    if (inner || (b >= 0 && b < R::SPAN)) store(at(z, b) + W, rows[j] * splat(0.5f * window[b]));
  }
}

template <class R, bool inner>
INLINE void scatter_block(const float* z, const float* window, float scale, int i, const Lanes<float>& to) {
  V rows[W];
#pragma GCC unroll 16
  for (int j = 0; j < W; j++) {
    const int a = i + j, b = a - R::HOP;
    rows[j] = V{};
    if (inner || a < R::SPAN) rows[j] += load(at(z, a)) * splat(scale * window[a]);
    if (inner || (b >= 0 && b < R::SPAN))
      rows[j] += load(at(z, b) + W) * to.second * splat(scale * window[b]);
  }
  transpose(rows);
#pragma GCC unroll 16
  for (int lane = 0; lane < W; lane++) {
    float* sample = to.pairs[lane] + i;
    store(sample, load(sample) + rows[lane]);
  }
}

template <class R>
__attribute__((noinline)) void gather(const Lanes<const float>& from, const float* window, float* z) {
  for (int i = 0; i < R::REACH; i += W)
    if (R::inner(i)) gather_block<R, true>(from, window, i, z);
    else gather_block<R, false>(from, window, i, z);
}

// The gradient of that, times 2 * scale, is added to the signals. Late samples come first: so each
// sample of a signal gets what pairs give to it in the order of pairs.
template <class R>
__attribute__((noinline)) void scatter(const float* z, const float* window, float scale,
                                       const Lanes<float>& to) {
  for (int i = (R::REACH - 1) / W * W; i >= 0; i -= W)
    if (R::inner(i)) scatter_block<R, true>(z, window, scale, i, to);
    else scatter_block<R, false>(z, window, scale, i, to);
}

// A signal with `pad` samples mirrored at each border, and zeros for a vector behind them.
inline void reflect(const float* from, i64 samples, int pad, float* to) {
  std::copy(from, from + samples, to + pad);
  for (int i = 1; i <= pad; i++) {
    to[pad - i] = from[i];
    to[pad + samples - 1 + i] = from[samples - 1 - i];
  }
  std::fill(to + samples + 2 * pad, to + samples + 2 * pad + W, 0.0f);
}

// The gradient of that, in place: what reached a mirrored sample goes to the one that it shows.
inline void unreflect(float* g, i64 samples, int pad) {
  for (int i = 1; i <= pad; i++) {
    g[pad + i] += g[pad - i];
    g[pad + samples - 1 - i] += g[pad + samples - 1 + i];
  }
}

}  // namespace namexp
