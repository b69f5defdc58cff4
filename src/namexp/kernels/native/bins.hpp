// Bins of two spectra compared, and the gradients of that.
//
// With x and y the clamped magnitudes of prediction and target, and X the spectrum of the prediction:
//   error     sum (y - x)^2          gradient with respect to X:   2 (x - y) X / x
//   distance  sum |log x - log y|                                  sign(x - y) X / x^2
// Both are real multiples of X, and zero where the clamp holds. What clamp and sign do at their edges
// is what torch does.

#pragma once

#include <cmath>
#include <vector>

#include "fft.hpp"

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace namexp {

INLINE V square_root(V x) {
#if defined(__AVX512F__)
  return (V)_mm512_mask_sqrt_ps((__m512)x, -1, (__m512)x);  // GCC 12 warns of the plain one
#elif defined(__AVX__)
  return (V)_mm256_sqrt_ps((__m256)x);
#elif defined(__aarch64__)
  return (V)vsqrtq_f32((float32x4_t)x);
#else
  for (int i = 0; i < W; i++) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

INLINE V mantissa(V x) { return floats((bits(x) & splat_int(0x007fffff)) | splat_int(0x3f800000)); }

INLINE VI exponent(V x) { return bits(x) >> 23; }  // of a positive number, plus a constant

typedef double VD __attribute__((vector_size(8 * W)));

INLINE VD doubles(V x) { return __builtin_convertvector(x, VD); }

// Of a few bins, in float. The sum of |log x - log y| is the logarithm of a product of ratios: mantissas
// are multiplied and exponents added, and a frame needs one logarithm in all.
struct Terms {
  static constexpr int MOST = 64;  // a product of more mantissas below 2 could overflow

  V error{}, high = splat(1.0f), low = splat(1.0f);
  VI exponents{};

  INLINE void add(V x, V y, V difference) {
    const V larger = x > y ? x : y, smaller = x > y ? y : x;
    error += difference * difference;
    high *= mantissa(larger);
    low *= mantissa(smaller);
    exponents += exponent(larger) - exponent(smaller);
  }
};

// Of a frame.
struct Comparison {
  VD error{};
  V high = splat(1.0f), low = splat(1.0f);
  VI exponents{};

  INLINE void add(const Terms& terms) {
    const V a = high * terms.high, b = low * terms.low;
    exponents += terms.exponents + exponent(a) - exponent(b);
    high = mantissa(a);
    low = mantissa(b);
    error += doubles(terms.error);
  }

  double distance(int lane) const {  // not finite where the error is not
    const double ratio = double(high[lane]) / low[lane];
    const double lost = error[lane] - error[lane];
    return 0.69314718055994531 * exponents[lane] + std::log(ratio) + lost;
  }
};

// Bin k and its mirror image n - k hold the spectra of both frames of a pair.
struct Mirrored {
  int bin, image;
};

// One block of bins that the first step of the transform leaves, or two that mirror each other.
struct Group {
  std::vector<int> blocks;
  std::vector<Mirrored> bins;
  std::vector<int> alone;  // those that are their own image
};

// Block by block, so that transform, comparison and inverse transform of one find it in the cache.
template <int n>
const std::vector<Group>& groups() {
  static const std::vector<Group> all = [] {
    constexpr int radix = radix_of(n), m = n / radix;
    std::vector<int> bin_at(n);
    for (int k = 0; k < n; k++) bin_at[position_of(k, n)] = k;
    std::vector<Group> result;
    for (int b = 0; b <= radix / 2; b++) {
      const int mirrored = (radix - b) % radix;
      Group group{{b}, {}, {}};
      if (mirrored != b) group.blocks.push_back(mirrored);
      for (int i = b * m; i < (b + 1) * m; i++) {
        const int k = bin_at[i], image = (n - k) % n;
        if (image == k) group.alone.push_back(i);
        if (mirrored != b || k <= image) group.bins.push_back({i, position_of(image, n)});
      }
      result.push_back(group);
    }
    return result;
  }();
  return all;
}

struct Spectra {  // of both frames at one bin
  Complex a, b;
};

// The window is halved before the transform: what is missing here.
INLINE Spectra separated(Complex z, Complex image) {
  return {{z.re + image.re, z.im - image.im}, {z.im + image.im, image.re - z.re}};
}

INLINE V power_of(Complex z) { return z.re * z.re + z.im * z.im; }

INLINE V clamped_magnitude(V power, float least) {  // keeps NaN
  return square_root(power < splat(least) ? splat(least) : power);
}

struct Factors {  // of X, for the gradients of error and distance
  V error, distance;
};

INLINE Factors compared(Complex spectrum, V y, float least, Terms& terms) {
  const V power = power_of(spectrum), x = clamped_magnitude(power, least);
  const V difference = x - y, inverse = splat(1.0f) / x;
  terms.add(x, y, difference);
  const V half = splat(0.5f) * inverse * inverse;  // an image has the other half
  const V slope = difference > V{} ? half : -half;
  const auto clamps = power < splat(least);
  return {clamps ? V{} : difference * inverse, clamps | (difference == V{}) ? V{} : slope};
}

// The spectrum of two real signals, X times a and X times b of the frames, as one complex signal.
INLINE void store_gradients(float* z, Mirrored bins, Spectra x, V a, V b) {
  const Complex p{x.a.re * a, x.a.im * a}, q{x.b.re * b, x.b.im * b};
  store_complex(at(z, bins.bin), {p.re - q.im, p.im + q.re});
  store_complex(at(z, bins.image), {p.re + q.im, q.re - p.im});
}

// Bins of both frames against the target's magnitudes y. With gradients, z and q get those of error
// and distance.
template <bool gradients>
INLINE void compare_bins(float* z, float* q, Mirrored bins, const float* y, float least, Terms& a,
                         Terms& b) {
  const Spectra x = separated(load_complex(at(z, bins.bin)), load_complex(at(z, bins.image)));
  const Factors f = compared(x.a, load(y), least, a), g = compared(x.b, load(y + W), least, b);
  if (!gradients) return;
  store_gradients(z, bins, x, f.error, g.error);
  store_gradients(q, bins, x, f.distance, g.distance);
}

// A bin that is its own image gets the halves of both.
inline void double_alone(const Group& group, float* z) {
  for (int own : group.alone) store_complex(at(z, own), load_complex(at(z, own)) * 2.0f);
}

}  // namespace namexp
