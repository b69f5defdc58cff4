// Frames of signals into the lanes of vectors, and back.

#pragma once

#include <algorithm>

#include "fft.hpp"
#include "transpose.hpp"

namespace namexp {

// One short-time Fourier transform: frames centred on every hop-th sample.
template <int n, int hop, int window>
struct Resolution {
  static constexpr int N = n, HOP = hop, WINDOW = window;
  static constexpr int HALF = n / 2;                     // complex samples: even ones and odd ones
  static constexpr int BINS = n / 2 + 1;
  static constexpr int LEFT = (n - window) / 2;          // samples of a frame before its window
  static constexpr int SPAN = (window + W - 1) / W * W;  // samples of a window, whole vectors
  static_assert(n >= 32 && (n & (n - 1)) == 0, "the transform is for powers of two");
  static_assert(hop >= W, "W samples of different frames must not be the same ones");
  static_assert(LEFT + SPAN <= n, "the window must leave room for whole vectors");

  static i64 num_frames(i64 samples) { return samples / hop + 1; }
};

// Where W frames begin.
struct Lanes {
  float* frames[W];
};

// Windowed frames. The window is halved, so that spectra are sums and differences of bins.
template <class R>
__attribute__((noinline)) void gather(const Lanes& from, const float* window, float* z) {
  for (int i = 0; i < R::SPAN; i += W) {
    V rows[W];
#pragma GCC unroll 16
    for (int lane = 0; lane < W; lane++) rows[lane] = load(from.frames[lane] + i);
    transpose(rows);
#pragma GCC unroll 16
    for (int j = 0; j < W; j++) store(z + (i + j) * W, rows[j] * splat(0.5f * window[i + j]));
  }
}

// Adds frames, windowed and times `scale`, to signals. Late samples come first: so each sample of a
// signal gets what frames give to it in the order of frames.
template <class R>
__attribute__((noinline)) void scatter(const float* z, const float* window, float scale, const Lanes& to) {
  for (int i = R::SPAN - W; i >= 0; i -= W) {
    V rows[W];
#pragma GCC unroll 16
    for (int j = 0; j < W; j++) rows[j] = load(z + (i + j) * W) * splat(scale * window[i + j]);
    transpose(rows);
#pragma GCC unroll 16
    for (int lane = 0; lane < W; lane++) {
      float* samples = to.frames[lane] + i;
      store(samples, load(samples) + rows[lane]);
    }
  }
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
