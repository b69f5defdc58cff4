// Convolutions along time as register tiles.
//
// A signal is some rows of samples; time is the same index in all of them and counts in whole
// vectors. A tile is a few outputs by a few vectors, held in registers while its inputs stream by.
// Letters: O outputs, I inputs, K kernel, N vectors of a tile, W lanes.

#pragma once

#include <type_traits>

#include "vector.hpp"

namespace namexp {

// Rows of samples: row r at time t is at(r, t).
struct Rows {
  float* origin;
  i64 stride;
  INLINE float* at(i64 row, i64 t) const { return origin + row * stride + t; }
  INLINE Rows from(i64 row) const { return {origin + row * stride, stride}; }
};

template <int N>
using Int = std::integral_constant<int, N>;

constexpr int widest_tile(int outputs) {
  for (int n : {8, 6, 4, 3, 2})
    if (outputs * n <= ACCUMULATORS) return n;
  return 1;
}

// How O outputs are dealt out to tiles: blocks of nearly one size, as many vectors as fit.
template <int O>
struct Tiling {
  static constexpr int most = ACCUMULATORS >= 24 ? 8 : 4;
  static constexpr int blocks = (O + most - 1) / most;
  static constexpr int outputs = (O + blocks - 1) / blocks;
  static constexpr int vectors = widest_tile(outputs);
};

template <int O, int N, int first, class F>
INLINE void tile_blocks(i64 t, F& tile) {
  constexpr int size = O - first < Tiling<O>::outputs ? O - first : Tiling<O>::outputs;
  tile(Int<first>{}, Int<size>{}, Int<N>{}, t);
  if constexpr (first + size < O) tile_blocks<O, N, first + size>(t, tile);
}

// Call tile(first output, outputs, vectors, time) for all O outputs over [begin, end).
template <int O, class F>
INLINE void for_tiles(i64 begin, i64 end, F&& tile) {
  constexpr int N = Tiling<O>::vectors;
  i64 t = begin;
  for (; t + N * W <= end; t += N * W) tile_blocks<O, N, 0>(t, tile);
  if constexpr (N > 2)
    for (; t + 2 * W <= end; t += 2 * W) tile_blocks<O, 2, 0>(t, tile);
  for (; t < end; t += W) tile_blocks<O, 1, 0>(t, tile);
}

template <int O, int N>
INLINE void clear(V (&sums)[O][N]) {
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) sums[o][n] = V{};
}

template <int O, int N>
INLINE void load_tile(V (&sums)[O][N], Rows rows, i64 first, i64 t) {
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) sums[o][n] = load(rows.at(first + o, t + n * W));
}

template <int O, int N>
INLINE void store_tile(V (&sums)[O][N], Rows rows, i64 first, i64 t) {
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) store(rows.at(first + o, t + n * W), sums[o][n]);
}

template <int O, int N>
INLINE void add_each(V (&sums)[O][N], const float* values) {
#pragma GCC unroll 8
  for (int o = 0; o < O; o++)
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) sums[o][n] += splat(values[o]);
}

// sums[o] += w[i][k][o] * in[i](t + first + k * step), over I inputs and K taps.
template <int I, int K, int O, int N>
INLINE void accumulate(V (&sums)[O][N], Rows in, i64 t, i64 first, i64 step, const float* w) {
  for (int i = 0; i < I; i++) {
    const float* p = in.at(i, t + first);
    for (int k = 0; k < K; k++) {
      V x[N];
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) x[n] = held(load(p + n * W));
#pragma GCC unroll 8
      for (int o = 0; o < O; o++) {
        const V weight = held(splat(w[o]));
#pragma GCC unroll 8
        for (int n = 0; n < N; n++) sums[o][n] = fused(weight, x[n], sums[o][n]);
      }
      p += step;
      w += O;
    }
  }
}

// Weights (O, I, K) by `at(o, i, k)` in the order in which `accumulate` reads them, tile by tile.
template <int O, int I, int K, class F>
inline float* pack_weights(float* packed, F&& at) {
  for (int first = 0; first < O; first += Tiling<O>::outputs)
    for (int i = 0; i < I; i++)
      for (int k = 0; k < K; k++)
        for (int o = first; o < O && o < first + Tiling<O>::outputs; o++) *packed++ = at(o, i, k);
  return packed;
}

// Products of two sets of rows, summed over time: sums[a * NB + b] += rows_a[a] . rows_b[b], lane by
// lane. What a weight's gradient is.
template <int A, int B>
INLINE void outer_tile(const float* a, i64 stride, const float* const* b, i64 length, V* sums, i64 width) {
  V tile[A][B];
#pragma GCC unroll 8
  for (int i = 0; i < A; i++)
#pragma GCC unroll 8
    for (int j = 0; j < B; j++) tile[i][j] = sums[i * width + j];
  for (i64 t = 0; t < length; t += W) {
    V y[B];
#pragma GCC unroll 8
    for (int j = 0; j < B; j++) y[j] = held(load(b[j] + t));
#pragma GCC unroll 8
    for (int i = 0; i < A; i++) {
      const V x = held(load(a + i * stride + t));
#pragma GCC unroll 8
      for (int j = 0; j < B; j++) tile[i][j] = fused(x, y[j], tile[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < A; i++)
#pragma GCC unroll 8
    for (int j = 0; j < B; j++) sums[i * width + j] = tile[i][j];
}

template <int A, int NB, int first = 0>
INLINE void outer_block(const float* a, i64 stride, const float* const* b, i64 length, V* sums) {
  constexpr int most = widest_tile(A);
  constexpr int rest = NB % most;
  for (int j = 0; j + most <= NB; j += most)
    outer_tile<A, most>(a, stride, b + j, length, sums + j, NB);
  if constexpr (rest > 0)
    outer_tile<A, rest>(a, stride, b + NB - rest, length, sums + NB - rest, NB);
}

// The same for all NA rows of `a` from time t on: sums has NA * NB vectors.
template <int NA, int NB, int first = 0>
INLINE void outer(Rows a, i64 t, const float* const* b, i64 length, V* sums) {
  constexpr int size = NA - first < Tiling<NA>::outputs ? NA - first : Tiling<NA>::outputs;
  outer_block<size, NB>(a.at(first, t), a.stride, b, length, sums + first * NB);
  if constexpr (first + size < NA) outer<NA, NB, first + size>(a, t, b, length, sums);
}

}  // namespace namexp
