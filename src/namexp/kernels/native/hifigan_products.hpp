// Sums of products over taps and channels as register tiles, channels along the lanes.
//
// Rows are positions, a row holds the channels of one: the taps of a dilated filter are then whole rows, and
// whatever the dilation, every load is in line. A tile is T rows by N vectors of outputs, in registers.

#pragma once

#include "tiles.hpp"

namespace namexp {

template <int L>
struct Lanes {
  typedef float Vec __attribute__((vector_size(4 * L)));
};

constexpr int NARROW = W == 16 ? 8 : W;  // a row is a whole number of these

template <int L>
using Vec = typename Lanes<L>::Vec;

template <int L>
INLINE Vec<L> load_lanes(const float* p) {
  Vec<L> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
INLINE void store_lanes(float* p, T v) { std::memcpy(p, &v, sizeof v); }

template <int L>
INLINE Vec<L> splat_lanes(float x) { return x - Vec<L>{}; }

INLINE V larger(V a, V b) {
#if defined(__AVX512F__)
  return (V)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
  return (V)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}

#if NAMEXP_LANES == 16
typedef Vec<8> Half;
INLINE Half fused(Half a, Half b, Half c) { return (Half)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE Half larger(Half a, Half b) { return (Half)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE Half held(Half v) {
  asm("" : "+v"(v));
  return v;
}
#endif

// LeakyReLU for slopes from 0 to 1; 1 changes nothing.
template <class T>
INLINE T leaky(T x, T slope) { return larger(x, x * slope); }

// Rows of outputs = sums over `taps` rows that lie `tap_stride` apart and their first `inputs` channels.
struct Product {
  const float* rows;
  i64 row_stride, tap_stride, taps, inputs;
  const float* weights;  // [block of outputs][tap][input][output of the block]
  float* out;
  i64 out_stride;
  bool add;  // to what `out` holds
};

constexpr i64 LONG_SUM = 64;  // inputs: from there on every tap is a sum of its own, which rounds less

constexpr int ROW_VECTORS = 2;  // of outputs in a tile; a last odd one is alone

constexpr int tile_rows(int vectors) { return ACCUMULATORS / vectors; }

template <int L, int N, int T>
INLINE void product_tile(const Product& p, const float* weights, i64 row, i64 column) {
  Vec<L> sums[T][N];
#pragma GCC unroll 32
  for (int t = 0; t < T; t++)
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) sums[t][n] = Vec<L>{};
  const i64 stride = p.row_stride, thrice = 3 * stride;
  constexpr int G = (T + 3) / 4;  // four rows share a pointer
  for (i64 tap = 0; tap < p.taps; tap++) {
    const float* group[G];
#pragma GCC unroll 8
    for (int g = 0; g < G; g++) group[g] = p.rows + (row + 4 * g) * stride + tap * p.tap_stride;
#pragma GCC unroll 2
    for (i64 i = 0; i < p.inputs; i++) {
      Vec<L> w[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) w[n] = held(load_lanes<L>(weights + n * L));
      weights += N * L;
#pragma GCC unroll 32
      for (int t = 0; t < T; t++) {
        const i64 offset = t % 4 == 0 ? 0 : t % 4 == 1 ? stride : t % 4 == 2 ? 2 * stride : thrice;
        const Vec<L> x = splat_lanes<L>(group[t / 4][offset + i]);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) sums[t][n] = fused(x, w[n], sums[t][n]);
      }
    }
  }
#pragma GCC unroll 32
  for (int t = 0; t < T; t++)
#pragma GCC unroll 4
    for (int n = 0; n < N; n++) {
      float* const out = p.out + (row + t) * p.out_stride + column + n * L;
      store_lanes(out, p.add ? load_lanes<L>(out) + sums[t][n] : sums[t][n]);
    }
}

// All rows of a block of N vectors of outputs, the last few in smaller tiles: each sum has its order anyway.
template <int L, int N>
OUTLINE inline void product_block(const Product& p, const float* weights, i64 rows, i64 column) {
  constexpr int T = tile_rows(N);
  i64 row = 0;
  for (; row + T <= rows; row += T) product_tile<L, N, T>(p, weights, row, column);
  if constexpr (T > 16)
    for (; row + 16 <= rows; row += 16) product_tile<L, N, 16>(p, weights, row, column);
  if constexpr (T > 8)
    for (; row + 8 <= rows; row += 8) product_tile<L, N, 8>(p, weights, row, column);
  for (; row + 4 <= rows; row += 4) product_tile<L, N, 4>(p, weights, row, column);
  for (; row + 2 <= rows; row += 2) product_tile<L, N, 2>(p, weights, row, column);
  for (; row < rows; row++) product_tile<L, N, 1>(p, weights, row, column);
}

// One block of outputs; returns the end of its weights.
template <int L, int N>
inline const float* product_sum(Product p, const float* weights, i64 rows, i64 column) {
  const i64 size = p.inputs * N * L, parts = p.inputs < LONG_SUM ? 1 : p.taps;
  p.taps /= parts;
  for (i64 part = 0; part < parts; part++, p.rows += p.tap_stride, p.add = true)
    product_block<L, N>(p, weights + part * size, rows, column);
  return weights + p.taps * parts * size;
}

// `rows` rows of all outputs; returns the end of the weights.
template <int L>
inline const float* product(const Product& p, i64 rows, i64 outputs) {
  const float* weights = p.weights;
  i64 column = 0;
  for (; column + ROW_VECTORS * L <= outputs; column += ROW_VECTORS * L)
    weights = product_sum<L, ROW_VECTORS>(p, weights, rows, column);
  for (; column < outputs; column += L) weights = product_sum<L, 1>(p, weights, rows, column);
  return weights;
}

}  // namespace namexp
