// Vectors of floats as wide as the machine's registers, and the functions that the kernels need.
//
// The types are the vector extensions of GCC and Clang, so that the same text serves AVX-512, AVX2,
// NEON and anything else; only the width and the number of registers are chosen by the machine.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define NAMEXP_LANES 16
#define NAMEXP_ACCUMULATORS 24  // of 32 registers
#elif defined(__AVX__)
#define NAMEXP_LANES 8
#define NAMEXP_ACCUMULATORS 12  // of 16
#elif defined(__aarch64__)
#define NAMEXP_LANES 4
#define NAMEXP_ACCUMULATORS 24  // of 32
#else
#define NAMEXP_LANES 4
#define NAMEXP_ACCUMULATORS 12
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINED __attribute__((always_inline))  // of a lambda
#define OUTLINE __attribute__((noinline))       // a stage that a profile shows by its name

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

namespace namexp {

using i64 = std::int64_t;

constexpr int W = NAMEXP_LANES;  // lanes of a vector
constexpr int ACCUMULATORS = NAMEXP_ACCUMULATORS;  // registers that a tile may sum in

typedef float V __attribute__((vector_size(4 * W)));
typedef std::int32_t VI __attribute__((vector_size(4 * W)));

INLINE V splat(float x) { return x - V{}; }

INLINE VI splat_int(std::int32_t x) { return x - VI{}; }

INLINE V load(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float* p, V v) { std::memcpy(p, &v, sizeof v); }

// Past the caches, for what is read much later; p is a multiple of the vector's size.
INLINE void stream(float* p, V v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX__)
  _mm256_stream_ps(p, (__m256)v);
#else
  store(p, v);
#endif
}

INLINE void finish_streaming() {
#if defined(__AVX__)
  _mm_sfence();
#endif
}

// The same vector, in a register: a compiler would rather read it again for each use.
INLINE V held(V v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
  return v;
}

// a * b + c, rounded once where the machine can. A sum over a loop is written with it: whether a compiler
// fuses a * b + c by itself depends on the loop around it (GCC leaves single chains apart on AMD), and what is
// computed in two shapes would not be the same bits.
INLINE V fused(V a, V b, V c) {
#if defined(__AVX512F__)
  return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (V)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

INLINE VI bits(V x) { return (VI)x; }

INLINE V floats(VI x) { return (V)x; }

INLINE V select(VI mask, V yes, V no) { return mask ? yes : no; }

INLINE V absolute(V x) { return floats(bits(x) & splat_int(0x7fffffff)); }

INLINE V with_sign_of(V magnitude, V sign) {
  return floats(bits(magnitude) | (bits(sign) & splat_int(-0x7fffffff - 1)));
}

#if defined(__AVX512F__)
constexpr __mmask16 ALL = static_cast<__mmask16>(-1);  // GCC 12 warns of the intrinsics without a mask

INLINE V reciprocal_guess(V x) { return (V)_mm512_maskz_rcp14_ps(ALL, (__m512)x); }  // 14 bits
#endif

// 1 / x to rounding, for x whose reciprocal is a normal number.
INLINE V reciprocal(V x) {
#if defined(__AVX512F__)
  const V guess = reciprocal_guess(x);
  return guess + guess * (splat(1.0f) - x * guess);  // Newton: 14 bits become 28
#else
  return splat(1.0f) / x;
#endif
}

// a / b to rounding, for b whose reciprocal is a normal number.
INLINE V quotient(V a, V b) {
#if defined(__AVX512F__)
  const V guess = reciprocal_guess(b);
  const V q = a * guess;
  return q + guess * (a - b * q);  // 14 bits become 28
#else
  return a / b;
#endif
}

INLINE float sum(V v) {  // in a fixed order
  float lanes[W];
  std::memcpy(lanes, &v, sizeof v);
  for (int half = W / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}

// e^x = 2^n e^r with |r| <= ln(2) / 2; e^r - 1 by its series, whose rest is below 6e-9.
INLINE V expm1_reduced(V x, V& power) {
  const V shift = splat(12582912.0f);  // 1.5 * 2^23: the sum's last bits are the rounded integer
  const V shifted = x * splat(1.44269504f) + shift;
  const V n = shifted - shift;
  power = floats((bits(shifted) - bits(shift) + splat_int(127)) << 23);
  const V r = (x - n * splat(0.693145752f)) - n * splat(1.42860677e-6f);
  V p = splat(1.0f / 5040.0f);
  p = p * r + splat(1.0f / 720.0f);
  p = p * r + splat(1.0f / 120.0f);
  p = p * r + splat(1.0f / 24.0f);
  p = p * r + splat(1.0f / 6.0f);
  p = p * r + splat(0.5f);
  return p * r * r + r;
}

// Both for arguments within the range of float: |x| <= 87.
INLINE V exponential(V x) {
  V power;
  const V rest = expm1_reduced(x, power);
  return power * rest + power;
}

// The smaller or greater of a limit and x; NaN stays.
INLINE V at_most(float limit, V x) {
#if defined(__AVX512F__)
  return (V)_mm512_mask_min_ps((__m512)x, ALL, (__m512)splat(limit), (__m512)x);
#else
  return select(x > splat(limit), splat(limit), x);
#endif
}

INLINE V at_least(float limit, V x) {
#if defined(__AVX512F__)
  return (V)_mm512_mask_max_ps((__m512)x, ALL, (__m512)splat(limit), (__m512)x);
#else
  return select(x < splat(limit), splat(limit), x);
#endif
}

INLINE V clamped(V x, float low, float high) { return at_most(high, at_least(low, x)); }  // as torch's clamp

// x P(x^2) / Q(x^2) with the least greatest relative error, 7e-9, for |x| <= 8; beyond, it is tanh(8),
// 2e-7 from 1.
INLINE V hyperbolic_tangent(V x) {
  const V y = clamped(x, -8.0f, 8.0f);
  const V u = y * y;
  V p = splat(1.5230405e-8f);
  p = p * u + splat(2.1894657e-5f);
  p = p * u + splat(3.5715979e-3f);
  p = p * u + splat(0.13444498f);
  p = p * u + splat(1.0f);
  V q = splat(8.5224428e-7f);
  q = q * u + splat(3.4112917e-4f);
  q = q * u + splat(0.026164442f);
  q = q * u + splat(0.46777827f);
  q = q * u + splat(1.0f);
  return quotient(y * p, q);
}

INLINE V logistic(V x) {
  return reciprocal(splat(1.0f) + exponential(-clamped(x, -87.0f, 87.0f)));
}

}  // namespace namexp
