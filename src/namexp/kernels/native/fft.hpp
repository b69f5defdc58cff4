// Fourier transforms of W complex signals at once, one in each lane: every butterfly is plain
// arithmetic on vectors, nothing is shuffled.
//
// A block of n samples is n pairs of vectors, real and imaginary part. The forward transform splits
// it by frequency (Gentleman and Sande) and leaves the bins where they fall, at position_of; the
// inverse takes them from there. So no pass permutes anything. Splitting goes depth first: whatever
// fits into the first-level cache is finished there.

#pragma once

#include <cmath>

#include "vector.hpp"

namespace namexp {

constexpr double PI = 3.14159265358979323846;

struct Complex {
  V re, im;
};

INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
INLINE Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
INLINE Complex operator*(Complex a, V s) { return {a.re * s, a.im * s}; }
INLINE Complex operator*(Complex a, float s) { return a * splat(s); }

template <class T>
INLINE T* at(T* z, int i) {
  return z + 2 * W * i;
}
INLINE Complex load_complex(const float* z) { return {load(z), load(z + W)}; }
INLINE void store_complex(float* z, Complex a) {
  store(z, a.re);
  store(z + W, a.im);
}

// Of the two directions: the sign of the exponent is -1 forward, +1 inverse.
template <bool inverse>
INLINE Complex turned(Complex a) {  // a quarter of a turn: times -i, or i
  if constexpr (inverse) return {-a.im, a.re};
  return {a.im, -a.re};
}

template <bool inverse>
INLINE Complex rotated(Complex a, const float* w) {  // times w, or its conjugate
  const V re = splat(w[0]), im = splat(w[1]);
  if constexpr (inverse) return {a.re * re + a.im * im, a.im * re - a.re * im};
  return {a.re * re - a.im * im, a.im * re + a.re * im};
}

constexpr int radix_of(int n) { return n == 4 || n == 16 ? 4 : 8; }  // every power of two from 4 on

// Where the forward transform of n leaves bin k.
inline int position_of(int k, int n) {
  if (n == 1) return 0;
  const int radix = radix_of(n), m = n / radix;
  return (k % radix) * m + position_of(k / radix, m);
}

// exp(-2 pi i j k / n) for each k < n / radix and each j from 1 to radix - 1.
template <int n>
struct Twiddles {
  static constexpr int RADIX = radix_of(n);
  float values[n / RADIX][RADIX - 1][2];

  static const Twiddles& table() {
    static const Twiddles twiddles;
    return twiddles;
  }

 private:
  Twiddles() {
    for (int k = 0; k < n / RADIX; k++)
      for (int j = 1; j < RADIX; j++) {
        const double angle = -2 * PI * j * k / n;
        values[k][j - 1][0] = float(std::cos(angle));
        values[k][j - 1][1] = float(std::sin(angle));
      }
  }
};

template <bool inverse>
INLINE void dft4(Complex (&a)[4]) {
  const Complex even = a[0] + a[2], odd = a[1] + a[3];
  const Complex apart = a[0] - a[2], turn = turned<inverse>(a[1] - a[3]);
  a[0] = even + odd;
  a[1] = apart + turn;
  a[2] = even - odd;
  a[3] = apart - turn;
}

// One step of a transform of n, in both directions. Forward, inputs l >= count are zero and not read;
// inverse, outputs l >= count are not wanted.
template <int RADIX>
struct Step;

template <>
struct Step<4> {
  template <int count>
  static INLINE void forward(Complex (&a)[4]) {
#pragma GCC unroll 4
    for (int l = count; l < 4; l++) a[l] = {V{}, V{}};
    dft4<false>(a);
  }
  static INLINE void inverse(Complex (&a)[4]) { dft4<true>(a); }
};

template <>
struct Step<8> {
  static constexpr float ROOT = 0.70710678118654752f;  // an eighth of a turn is ROOT times (1 -+ i)

  // Even outputs transform the sums of inputs l and l + 4; odd ones their differences, each turned
  // by l eighths. ROOT is left to the last additions, which take the product along.
  template <int count>
  static INLINE void forward(Complex (&a)[8]) {
    Complex s[4], d[4];
#pragma GCC unroll 4
    for (int l = 0; l < 4; l++) {
      if (l >= count) a[l] = {V{}, V{}};
      s[l] = l + 4 < count ? a[l] + a[l + 4] : a[l];
      d[l] = l + 4 < count ? a[l] - a[l + 4] : a[l];
    }
    dft4<false>(s);
    const Complex one = d[1] + turned<false>(d[1]), minus_three = d[3] - turned<false>(d[3]);
    const Complex even = d[0] + turned<false>(d[2]), apart = d[0] - turned<false>(d[2]);
    const Complex odd = one - minus_three, turn = turned<false>(one + minus_three);
    a[0] = s[0];
    a[2] = s[1];
    a[4] = s[2];
    a[6] = s[3];
    a[1] = even + odd * ROOT;
    a[3] = apart + turn * ROOT;
    a[5] = even - odd * ROOT;
    a[7] = apart - turn * ROOT;
  }

  static INLINE void inverse(Complex (&a)[8]) {
    Complex s[4] = {a[0], a[2], a[4], a[6]}, d[4] = {a[1], a[3], a[5], a[7]};
    dft4<true>(s);
    dft4<true>(d);
    const Complex one = d[1] + turned<true>(d[1]), minus_three = d[3] - turned<true>(d[3]);
    a[0] = s[0] + d[0];
    a[4] = s[0] - d[0];
    a[1] = s[1] + one * ROOT;
    a[5] = s[1] - one * ROOT;
    a[2] = s[2] + turned<true>(d[2]);
    a[6] = s[2] - turned<true>(d[2]);
    a[3] = s[3] - minus_three * ROOT;
    a[7] = s[3] + minus_three * ROOT;
  }
};

// Butterflies from <= k < to of a forward step: samples into RADIX blocks of bins.
template <int n, int count>
INLINE void split_range(float* z, int from, int to) {
  constexpr int RADIX = radix_of(n), m = n / RADIX;
  const auto& twiddles = Twiddles<n>::table();
  for (int k = from; k < to; k++) {
    Complex a[RADIX];
#pragma GCC unroll 8
    for (int l = 0; l < count; l++) a[l] = load_complex(at(z, k + l * m));
    Step<RADIX>::template forward<count>(a);
    store_complex(at(z, k), a[0]);
#pragma GCC unroll 8
    for (int j = 1; j < RADIX; j++)
      store_complex(at(z, k + j * m), m > 1 ? rotated<false>(a[j], twiddles.values[k][j - 1]) : a[j]);
  }
}

// The same backwards: blocks of bins into their first `count` blocks of samples.
template <int n, int count>
INLINE void join_range(float* z, int from, int to) {
  constexpr int RADIX = radix_of(n), m = n / RADIX;
  const auto& twiddles = Twiddles<n>::table();
  for (int k = from; k < to; k++) {
    Complex a[RADIX];
    a[0] = load_complex(at(z, k));
#pragma GCC unroll 8
    for (int j = 1; j < RADIX; j++) {
      a[j] = load_complex(at(z, k + j * m));
      if (m > 1) a[j] = rotated<true>(a[j], twiddles.values[k][j - 1]);
    }
    Step<RADIX>::inverse(a);
#pragma GCC unroll 8
    for (int l = 0; l < count; l++) store_complex(at(z, k + l * m), a[l]);
  }
}

// The first forward step of a signal of which samples from `span` on are zero.
template <int n, int span = n>
INLINE void split(float* z) {
  constexpr int m = n / radix_of(n), whole = span / m, rest = span % m;
  if constexpr (rest > 0) split_range<n, whole + 1>(z, 0, rest);
  split_range<n, whole>(z, rest, m);
}

// The last inverse step of a signal of which samples from `span` on are not wanted.
template <int n, int span = n>
INLINE void join(float* z) {
  constexpr int m = n / radix_of(n), whole = span / m, rest = span % m;
  if constexpr (rest > 0) join_range<n, whole + 1>(z, 0, rest);
  join_range<n, whole>(z, rest, m);
}

// Both for calls from several places: compiled once.
template <int n, int span>
__attribute__((noinline)) void split_signal(float* z) {
  split<n, span>(z);
}

template <int n, int span>
__attribute__((noinline)) void join_signal(float* z) {
  join<n, span>(z);
}

// A whole transform of n in place: samples to bins at position_of.
template <int n>
__attribute__((noinline)) void forward(float* z) {
  constexpr int RADIX = radix_of(n), m = n / RADIX;
  split<n>(z);
  for (int j = 0; j < RADIX && m > 1; j++) {
    if constexpr (m == radix_of(m)) split<m>(at(z, j * m));  // the last step
    else if constexpr (m > 1) forward<m>(at(z, j * m));
  }
}

// And back, times n.
template <int n>
__attribute__((noinline)) void inverse(float* z) {
  constexpr int RADIX = radix_of(n), m = n / RADIX;
  for (int j = 0; j < RADIX && m > 1; j++) {
    if constexpr (m == radix_of(m)) join<m>(at(z, j * m));
    else if constexpr (m > 1) inverse<m>(at(z, j * m));
  }
  join<n>(z);
}

}  // namespace namexp
