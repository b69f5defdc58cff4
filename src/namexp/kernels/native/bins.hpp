// Bins of two spectra compared, and the gradients of that.
//
// A frame of n real samples is transformed as n / 2 complex ones, even samples + i odd samples. Bins k
// and n / 2 - k of the frame follow from bins k and n / 2 - k of that, and the other way round.
//
// With x and y the clamped magnitudes of prediction and target, and X the spectrum of the prediction:
//   error     sum (y - x)^2          gradient with respect to X:   2 (x - y) X / x
//   distance  sum |log x - log y|                                  sign(x - y) X / x^2
// Both are real multiples of X, zero where the clamp holds. What clamp and sign do at their edges
// is what torch does.

#pragma once

#include <cmath>
#include <vector>

#include "fft.hpp"

namespace namexp {

INLINE V square_root(V x) {
#if defined(__AVX512F__)
  return (V)_mm512_mask_sqrt_ps((__m512)x, ALL, (__m512)x);
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
    error = fused(difference, difference, error);
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

// Where bins k and n - k of a complex transform of n are, and -i exp(-pi i k / n).
struct Mirrored {
  int bin, image;
  float turn[2];
};

// One block of bins that the first step of the transform leaves, or two that mirror each other.
struct Group {
  std::vector<int> blocks;
  std::vector<Mirrored> bins;
  std::vector<Mirrored> middle;  // bin n / 2, its own image and so only one bin of the frame
};

// Block by block, so that transform, comparison and inverse transform of one find it in the cache.
// The first bin of the first block is 0, and with it comes bin n of the frame.
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
        if (mirrored == b && k > image) continue;
        const double angle = -PI * k / n;
        const Mirrored bins{i, position_of(image, n), {float(std::sin(angle)), float(-std::cos(angle))}};
        (2 * k == n ? group.middle : group.bins).push_back(bins);
      }
      result.push_back(group);
    }
    return result;
  }();
  return all;
}

// Bins k and n / 2 - k of a frame, the second one's conjugate.
struct Spectrum {
  Complex a, b;
};

// The window is halved before the transform: what is missing here.
INLINE Spectrum spectrum_of(const float* z, const Mirrored& bins) {
  const Complex bin = load_complex(at(z, bins.bin)), image = load_complex(at(z, bins.image));
  const Complex even{bin.re + image.re, bin.im - image.im};
  const Complex odd = rotated<false>({bin.re - image.re, bin.im + image.im}, bins.turn);
  return {even + odd, even - odd};
}

// The inverse transform of this is that of the frame's bins and of their mirror images.
INLINE void store_spectrum(float* z, const Mirrored& bins, Spectrum x) {
  const Complex even = x.a + x.b, odd = rotated<true>(x.a - x.b, bins.turn);
  const Complex bin = even + odd, image = even - odd;
  store_complex(at(z, bins.image), {image.re, -image.im});
  store_complex(at(z, bins.bin), bin);  // the last one, which counts where both are the same
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
  const V half = splat(0.5f) * inverse * inverse;  // the bin's mirror image has the other half
  const V slope = difference > V{} ? half : -half;
  const auto clamps = power < splat(least);
  return {clamps ? V{} : difference * inverse, (clamps | (difference == V{})) ? V{} : slope};
}

// Two bins against the target's magnitudes y. With gradients, z and q get those of error and distance.
template <bool gradients>
INLINE void compare_bins(float* z, float* q, const Mirrored& bins, const float* y, float least, Terms& a,
                         Terms& b) {
  const Spectrum x = spectrum_of(z, bins);
  const Factors f = compared(x.a, load(y), least, a), g = compared(x.b, load(y + W), least, b);
  if (!gradients) return;
  store_spectrum(z, bins, {x.a * f.error, x.b * g.error});
  store_spectrum(q, bins, {x.a * f.distance, x.b * g.distance});
}

}  // namespace namexp
