// The fixed activations of the C++ runtime: value, and derivative by argument z and value a.
//
// `by_value` says that the derivative needs a alone. Limits where a derivative jumps are torch's.

#pragma once

#include "vector.hpp"

namespace namexp {

struct Tanh {
  static constexpr bool by_value = true;
  explicit Tanh(const float*) {}
  INLINE V value(V z) const { return hyperbolic_tangent(z); }
  INLINE V slope(V, V a) const { return splat(1.0f) - a * a; }
};

struct Sigmoid {
  static constexpr bool by_value = true;
  explicit Sigmoid(const float*) {}
  INLINE V value(V z) const { return logistic(z); }
  INLINE V slope(V, V a) const { return a * (splat(1.0f) - a); }
};

struct ReLU {
  static constexpr bool by_value = true;
  explicit ReLU(const float*) {}
  INLINE V value(V z) const { return select(z < V{}, V{}, z); }
  INLINE V slope(V, V a) const { return select(a > V{}, splat(1.0f), V{}); }
};

struct LeakyReLU {  // its slope must not be negative: the sign of a is that of z
  static constexpr bool by_value = true;
  V negative;
  explicit LeakyReLU(const float* p) : negative(splat(p[0])) {}
  INLINE V value(V z) const { return select(z > V{}, z, z * negative); }
  INLINE V slope(V, V a) const { return select(a > V{}, splat(1.0f), negative); }
};

struct Hardtanh {
  static constexpr bool by_value = true;
  float low, high;
  explicit Hardtanh(const float* p) : low(p[0]), high(p[1]) {}
  INLINE V value(V z) const { return clamped(z, low, high); }
  INLINE V slope(V, V a) const {
    return floats(((a > splat(low)) & (a < splat(high))) & bits(splat(1.0f)));
  }
};

struct Softsign {
  static constexpr bool by_value = true;
  explicit Softsign(const float*) {}
  INLINE V value(V z) const { return z / (splat(1.0f) + absolute(z)); }
  INLINE V slope(V, V a) const {
    const V rest = splat(1.0f) - absolute(a);
    return rest * rest;
  }
};

struct SiLU {
  static constexpr bool by_value = false;
  explicit SiLU(const float*) {}
  INLINE V value(V z) const { return z * logistic(z); }
  INLINE V slope(V z, V) const {
    const V s = logistic(z);
    return s + z * s * (splat(1.0f) - s);
  }
};

struct Hardswish {
  static constexpr bool by_value = false;
  explicit Hardswish(const float*) {}
  INLINE V value(V z) const {
    return z * clamped(z + splat(3.0f), 0.0f, 6.0f) * splat(1.0f / 6.0f);
  }
  INLINE V slope(V z, V) const {
    const V inside = z * splat(1.0f / 3.0f) + splat(0.5f);
    return select(z < splat(-3.0f), V{}, select(z > splat(3.0f), splat(1.0f), inside));
  }
};

struct LeakyHardtanh {
  static constexpr bool by_value = false;
  float low, high, low_slope, high_slope;
  explicit LeakyHardtanh(const float* p) : low(p[0]), high(p[1]), low_slope(p[2]), high_slope(p[3]) {}
  INLINE V value(V z) const {
    const V below = splat(low) + splat(low_slope) * (z - splat(low));
    const V above = splat(high) + splat(high_slope) * (z - splat(high));
    return select(z < splat(low), below, select(z > splat(high), above, z));
  }
  INLINE V slope(V z, V) const {
    return select(z < splat(low), splat(low_slope), select(z > splat(high), splat(high_slope), splat(1.0f)));
  }
};

// The runtime's rational approximation of tanh; with s = |z| it is sign(z) n(s) / d(s).
struct Fasttanh {
  static constexpr bool by_value = false;
  static constexpr float A = 2.45550750702956f, B = 0.893229853513558f, C = 0.821226666969744f;
  static constexpr float E = 2.44506634652299f, F = 0.814642734961073f;
  explicit Fasttanh(const float*) {}
  INLINE V numerator(V s) const { return s * (A + A * s + (B + C * s) * s * s); }
  INLINE V denominator(V s) const { return E + (E + s * s) * (s + F * s * s); }
  INLINE V value(V z) const {
    const V s = absolute(z);
    return with_sign_of(numerator(s) / denominator(s), z);
  }
  INLINE V slope(V z, V) const {
    const V s = absolute(z);
    const V n = numerator(s), d = denominator(s);
    const V dn = A + 2 * A * s + (3 * B + 4 * C * s) * s * s;
    const V dd = 2 * s * (s + F * s * s) + (E + s * s) * (1 + 2 * F * s);
    return (dn * d - n * dd) / (d * d);
  }
};

// What a layer does between its convolution and its head. `z` has two halves where PAIRED.

template <class Act>
struct Single {
  static constexpr bool PAIRED = false;
  static constexpr bool DIRECT = Act::by_value;  // the value alone is kept
  Act act;
  Single(const float* p, const float*) : act(p) {}
  INLINE V value(V z, V) const { return act.value(z); }
  INLINE V slope(V a) const { return act.slope(a, a); }
  INLINE void slopes(V z, V, V g, V& g1, V&) const { g1 = g * act.slope(z, act.value(z)); }
};

template <class Act, class Gate>
struct Pair {
  static constexpr bool PAIRED = true;
  static constexpr bool DIRECT = false;
  Act act;
  Gate gate;
  Pair(const float* p, const float* q) : act(p), gate(q) {}
  INLINE V slope(V a) const { return a; }
};

template <class Act, class Gate>
struct Gated : Pair<Act, Gate> {
  using Pair<Act, Gate>::Pair, Pair<Act, Gate>::act, Pair<Act, Gate>::gate;
  INLINE V value(V z1, V z2) const { return act.value(z1) * gate.value(z2); }
  INLINE void slopes(V z1, V z2, V g, V& g1, V& g2) const {
    const V a = act.value(z1), s = gate.value(z2);
    g1 = g * s * act.slope(z1, a);
    g2 = g * a * gate.slope(z2, s);
  }
};

template <class Act, class Gate>
struct Blended : Pair<Act, Gate> {
  using Pair<Act, Gate>::Pair, Pair<Act, Gate>::act, Pair<Act, Gate>::gate;
  INLINE V value(V z1, V z2) const {
    const V s = gate.value(z2);
    return s * act.value(z1) + (splat(1.0f) - s) * z1;
  }
  INLINE void slopes(V z1, V z2, V g, V& g1, V& g2) const {
    const V a = act.value(z1), s = gate.value(z2);
    g1 = g * (s * act.slope(z1, a) + (splat(1.0f) - s));
    g2 = g * (a - z1) * gate.slope(z2, s);
  }
};

}  // namespace namexp
