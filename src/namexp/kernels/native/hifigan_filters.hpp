// Minimal filtering along time: n products give what `OUTPUTS` positions need of a filter of r taps.
//
// The filter and the signal are polynomials; their product is known by its values at n = OUTPUTS + r - 1
// points: 0, some pairs of +p and -p, and infinity where INFINITE. Because the points come in pairs, even
// and odd terms are summed once for both. The filters come transformed.
// Source: Toom-Cook multiplication, transposed; Winograd 1980, Arithmetic Complexity of Computations.

#pragma once

#include "hifigan_products.hpp"

namespace namexp {

template <class Points>
struct Minimal {
  static constexpr int P = sizeof(Points::PAIRS) / sizeof(double);
  static constexpr bool INFINITE = Points::INFINITE;
  static constexpr int OUTPUTS = Points::OUTPUTS;
  static constexpr int PRODUCTS = 1 + 2 * P + (INFINITE ? 1 : 0);

  // The coefficient of u^power in the product of (u - p^2) over all pairs but `without`.
  static constexpr float coefficient(int without, int power) {
    double of[P + 2] = {1.0};
    for (int i = 0, degree = 0; i < P; i++) {
      if (i == without) continue;
      const double square = Points::PAIRS[i] * Points::PAIRS[i];
      degree++;
      for (int k = degree; k >= 0; k--) of[k] = (k > 0 ? of[k - 1] : 0.0) - square * of[k];
    }
    return static_cast<float>(of[power]);
  }

  static constexpr float power_of(int pair, int exponent) {
    double value = 1.0;
    for (int i = 0; i < exponent; i++) value *= Points::PAIRS[pair];
    return static_cast<float>(value);
  }

  // Sum over k of coefficient(without, k) x[first + 2k], whose last coefficient is 1.
  template <int L, int without, int first, int k = 0>
  static INLINE Vec<L> terms(const Vec<L>* x) {
    constexpr int last = P - (without < P ? 1 : 0);
    if constexpr (k == last) {
      return x[first + 2 * k];
    } else {
      constexpr float c = coefficient(without, k);
      return fused(splat_lanes<L>(c), x[first + 2 * k], terms<L, without, first, k + 1>(x));
    }
  }

  template <int L, int pair = 0>
  static INLINE void input(const Vec<L>* x, Vec<L>* v) {
    if constexpr (pair == 0) {
      v[0] = terms<L, P, 0>(x);
      if constexpr (INFINITE) v[PRODUCTS - 1] = terms<L, P, 1>(x);
    }
    const Vec<L> even = terms<L, pair, 2>(x), odd = terms<L, pair, 1>(x);
    constexpr float p = power_of(pair, 1);
    v[1 + 2 * pair] = fused(splat_lanes<L>(p), odd, even);
    v[2 + 2 * pair] = fused(splat_lanes<L>(-p), odd, even);
    if constexpr (pair + 1 < P) input<L, pair + 1>(x, v);
  }

  template <int L, int j, int pair>
  static INLINE Vec<L> added(const Vec<L>* sums, Vec<L> y) {
    if constexpr (pair == P) {
      return y;
    } else {
      constexpr float c = power_of(pair, j);
      return added<L, j, pair + 1>(sums, fused(splat_lanes<L>(c), sums[pair], y));
    }
  }

  // The outputs from what the products gave.
  template <int L, int j = 0>
  static INLINE void output(const Vec<L>* m, Vec<L>* y) {
    Vec<L> sums[P];
#pragma GCC unroll 4
    for (int i = 0; i < P; i++) sums[i] = j % 2 ? m[1 + 2 * i] - m[2 + 2 * i] : m[1 + 2 * i] + m[2 + 2 * i];
    if constexpr (j == 0)
      y[j] = added<L, j, 0>(sums, m[0]);
    else if constexpr (INFINITE && j == OUTPUTS - 1)
      y[j] = added<L, j, 0>(sums, m[PRODUCTS - 1]);
    else
      y[j] = added<L, j, 1>(sums, sums[0] * splat_lanes<L>(power_of(0, j)));
    if constexpr (j + 1 < OUTPUTS) output<L, j + 1>(m, y);
  }
};

}  // namespace namexp
