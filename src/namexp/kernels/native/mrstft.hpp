// The sums of the multi-resolution STFT loss and their gradients, in one pass over the signals.
//
// Two frames in a row make one complex signal, so that one transform yields both spectra; W such pairs
// fill the lanes. A pair's result does not depend on its lane nor on its neighbours, and everything is
// added up in the order of frames: the same bits with any number of threads.
//
// With x and y the clamped magnitudes of prediction and target, and X the spectrum of the prediction:
//   error     sum (y - x)^2       gradient with respect to X:   2 (x - y) X / x
//   distance  sum |log x - log y|                               sign(x - y) X / x^2
// Both are real multiples of X, zero where the clamp holds. The inverse transform takes the gradients of
// a pair back to samples, again two frames at once. What the clamp and the sign do at their edges is
// what torch does.

#pragma once

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "fft.hpp"
#include "transpose.hpp"

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

// --- sums over the bins of a frame --------------------------------------------------------------

// Few terms at a time in float, those sums in double.
struct Sum {
  typedef double VD __attribute__((vector_size(8 * W)));

  V part{};
  VD total{};

  INLINE void settle() {
    total += __builtin_convertvector(part, VD);
    part = V{};
  }
};

// The sum of |log x - log y| is the logarithm of a product of ratios: mantissas are multiplied and
// exponents added, and a frame needs one logarithm in all.
struct Comparison {
  static constexpr int TERMS = 64;  // a product of more mantissas below 2 could overflow

  Sum error;
  V high = splat(1.0f), low = splat(1.0f);
  VI exponents{};

  INLINE void add(V x, V y, V difference) {
    const V larger = x > y ? x : y, smaller = x > y ? y : x;
    error.part += difference * difference;
    high *= mantissa(larger);
    low *= mantissa(smaller);
    exponents += exponent(larger) - exponent(smaller);
  }

  INLINE void settle() {  // at the latest after TERMS
    exponents += exponent(high) - exponent(low);
    high = mantissa(high);
    low = mantissa(low);
    error.settle();
  }

  double distance(int lane) const {  // not finite where the error is not
    const double ratio = double(high[lane]) / low[lane];
    const double lost = error.total[lane] - error.total[lane];
    return 0.69314718055994531 * exponents[lane] + std::log(ratio) + lost;
  }
};

// --- bins --------------------------------------------------------------------------------------

// Bin k and its mirror image n - k hold the spectra of both frames of a pair.
struct Mirrored {
  int bin, image;
};

// The blocks of bins that the first step of the transform leaves, with all pairs of bins in them.
struct Blocks {
  int first, second;  // equal for a block that mirrors itself
  std::vector<Mirrored> bins;
};

inline std::vector<Blocks> blocks_of(int n) {
  const int radix = radix_of(n), m = n / radix;
  std::vector<int> bin_at(n);
  for (int k = 0; k < n; k++) bin_at[position_of(k, n)] = k;
  std::vector<Blocks> all;
  for (int b = 0; b <= radix / 2; b++) {
    Blocks blocks{b, (radix - b) % radix, {}};
    for (int i = 0; i < m; i++) {
      const int k = bin_at[b * m + i];
      if (k == 0 || 2 * k == n) continue;  // its own image, done apart
      if (b != blocks.second || 2 * k < n) blocks.bins.push_back({b * m + i, position_of(n - k, n)});
    }
    all.push_back(blocks);
  }
  return all;
}

struct Spectra {  // of both frames at one bin
  Complex a, b;
};

// The window is halved before the transform: what is missing here.
INLINE Spectra separated(Complex z, Complex image) {
  return {{z.re + image.re, z.im - image.im}, {z.im + image.im, image.re - z.re}};
}

struct Limits {
  float power;  // the clamp: auraloss's eps
};

INLINE V clamped_magnitude(V power, Limits limits) {  // keeps NaN
  const V least = splat(limits.power);
  return square_root(power < least ? least : power);
}

INLINE V power_of(Complex z) { return z.re * z.re + z.im * z.im; }

struct Factors {  // of X, for the gradients of error and distance
  V error, distance;
};

INLINE Factors compared(Complex spectrum, V y, Limits limits, Comparison& sums) {
  const V power = power_of(spectrum), x = clamped_magnitude(power, limits);
  const V difference = x - y, inverse = splat(1.0f) / x;
  sums.add(x, y, difference);
  const V half = splat(0.5f) * inverse * inverse;
  const V slope = difference > V{} ? half : -half;
  const auto clamps = power < splat(limits.power);
  return {clamps ? V{} : difference * inverse, clamps | (difference == V{}) ? V{} : slope};
}

INLINE void store_gradients(float* z, Mirrored bins, Spectra x, V a, V b) {
  const Complex p{x.a.re * a, x.a.im * a}, q{x.b.re * b, x.b.im * b};
  store_complex(at(z, bins.bin), {p.re - q.im, p.im + q.re});
  store_complex(at(z, bins.image), {p.re + q.im, q.re - p.im});
}

// --- one resolution ------------------------------------------------------------------------------

template <int n, int hop, int window>
struct Resolution {
  static constexpr int N = n, HOP = hop;
  static constexpr int SPAN = (window + W - 1) / W * W;  // samples of a frame, whole vectors
  static constexpr int LEFT = (n - window) / 2;          // samples of a frame before its window
  static constexpr int BINS = n / 2 + 1;
  static constexpr int RADIX = radix_of(n), M = n / RADIX;
  static_assert(2 * hop >= W, "pairs of frames must not reach the same samples in one step");
  static_assert(LEFT + SPAN + hop <= n, "a pair must fit where its first frame does");

  // Whether the W samples of a pair from the i-th on are in both of its frames.
  static bool inner(int i) { return i >= hop && i + W <= SPAN; }

  static const std::vector<Blocks>& blocks() {
    static const std::vector<Blocks> all = blocks_of(n);
    return all;
  }

  static i64 num_frames(i64 samples) { return samples / hop + 1; }
};

// Where W pairs of frames begin, and which of them have a second frame (1, else 0).
template <class T>
struct Lanes {
  T* pairs[W];
  V second;
};

// W samples of each pair from the i-th on; `inner` says that all of them are in both frames.
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
  for (int i = 0; i < R::SPAN + R::HOP; i += W)
    if (R::inner(i)) gather_block<R, true>(from, window, i, z);
    else gather_block<R, false>(from, window, i, z);
}

// Late samples first: each sample of the signal gets what its frames give it in the order of frames.
template <class R>
__attribute__((noinline)) void scatter(const float* z, const float* window, float scale,
                                       const Lanes<float>& to) {
  for (int i = (R::SPAN + R::HOP - 1) / W * W; i >= 0; i -= W)
    if (R::inner(i)) scatter_block<R, true>(z, window, scale, i, to);
    else scatter_block<R, false>(z, window, scale, i, to);
}

// Magnitudes of the target, in the order of blocks(), and their energy.
template <class R>
__attribute__((noinline)) void measure(float* z, float* magnitudes, Limits limits, Sum (&energy)[2]) {
  const auto keep = [&](Spectra x) INLINED {
    const V a = clamped_magnitude(power_of(x.a), limits), b = clamped_magnitude(power_of(x.b), limits);
    store(magnitudes, a);
    store(magnitudes + W, b);
    magnitudes += 2 * W;
    energy[0].part += a * a;
    energy[1].part += b * b;
  };
  split<R::N, R::SPAN>(z);
  for (const Blocks& blocks : R::blocks()) {
    forward<R::M>(at(z, blocks.first * R::M));
    if (blocks.first != blocks.second) forward<R::M>(at(z, blocks.second * R::M));
    if (blocks.first == 0)
      for (int k : {0, R::N / 2}) {
        const Complex own = load_complex(at(z, position_of(k, R::N)));
        keep(separated(own, own));
      }
    for (const Mirrored& bins : blocks.bins)
      keep(separated(load_complex(at(z, bins.bin)), load_complex(at(z, bins.image))));
    energy[0].settle();
    energy[1].settle();
  }
}

// Sums of the prediction against the target's magnitudes. With gradients, z and q get those of error
// and distance, not yet windowed.
template <class R, bool gradients>
__attribute__((noinline)) void compare(float* z, float* q, const float* magnitudes, Limits limits,
                                       Comparison (&sums)[2]) {
  const auto treat = [&](Mirrored bins, const float* y, float weight) INLINED {
    const Spectra x = separated(load_complex(at(z, bins.bin)), load_complex(at(z, bins.image)));
    const Factors a = compared(x.a, load(y), limits, sums[0]);
    const Factors b = compared(x.b, load(y + W), limits, sums[1]);
    if (!gradients) return;
    store_gradients(z, bins, x, a.error * splat(weight), b.error * splat(weight));
    store_gradients(q, bins, x, a.distance * splat(weight), b.distance * splat(weight));
  };
  const auto settle = [&] {
    sums[0].settle();
    sums[1].settle();
  };
  split<R::N, R::SPAN>(z);
  for (const Blocks& blocks : R::blocks()) {
    const int starts[2] = {blocks.first * R::M, blocks.second * R::M};
    const int count = blocks.first == blocks.second ? 1 : 2;
    for (int i = 0; i < count; i++) forward<R::M>(at(z, starts[i]));
    if (blocks.first == 0)
      for (int k : {0, R::N / 2}) {  // they have no image to share their gradient with
        const int own = position_of(k, R::N);
        treat({own, own}, magnitudes, 2.0f);
        magnitudes += 2 * W;
      }
    settle();
    const int num_bins = int(blocks.bins.size());
    for (int begin = 0; begin < num_bins; begin += Comparison::TERMS) {
      const int end = std::min(begin + Comparison::TERMS, num_bins);
      for (int i = begin; i < end; i++, magnitudes += 2 * W) treat(blocks.bins[i], magnitudes, 1.0f);
      settle();
    }
    if (!gradients) continue;
    for (float* spectrum : {z, q})
      for (int i = 0; i < count; i++) inverse<R::M>(at(spectrum, starts[i]));
  }
  if (!gradients) return;
  join<R::N, R::SPAN>(z);
  join<R::N, R::SPAN>(q);
}

// --- signals -----------------------------------------------------------------------------------

// A signal with `pad` samples mirrored at each border, and room for a vector behind them.
inline void reflect(const float* from, i64 samples, int pad, float* to) {
  std::copy(from, from + samples, to + pad);
  for (int i = 1; i <= pad; i++) {
    to[pad - i] = from[i];
    to[pad + samples - 1 + i] = from[samples - 1 - i];
  }
  std::fill(to + samples + 2 * pad, to + samples + 2 * pad + W, 0.0f);
}

// The gradient of that: what reached a mirrored sample goes to the one that it shows.
inline void unreflect(float* g, i64 samples, int pad) {
  for (int i = 1; i <= pad; i++) {
    g[pad + i] += g[pad - i];
    g[pad + samples - 1 - i] += g[pad + samples - 1 + i];
  }
}

struct Shape {
  i64 items, submodels, samples;
};

template <class... Rs>
class Mrstft {
 public:
  static constexpr int RESOLUTIONS = sizeof...(Rs);
  static constexpr int PAD = std::max({Rs::N...}) / 2;
  static constexpr int SUMS = 2 * RESOLUTIONS + 1;  // errors, energies, one distance

  static i64 row(i64 samples) { return samples + 2 * PAD + W; }  // of a gradient

  // prediction (items, submodels, samples), target (items, samples), windows one after the other;
  // sums (submodels, SUMS). Where gradients are wanted, of each error and of the distance:
  // p (RESOLUTIONS, items, submodels, row), q (items, submodels, row); else both are null.
  static void sums(const float* prediction, const float* target, const float* windows, Shape shape,
                   float eps, int threads, double* sums, float* p, float* q) {
    const i64 width = shape.submodels * SUMS;
    std::vector<double> of_items(shape.items * width);
    in_threads(shape.items, threads, [&](i64 from, i64 to) {
      Mrstft work(shape, windows, {eps}, std::min(to - from, CHUNK));
      for (i64 begin = from; begin < to; begin += CHUNK)
        work.chunk(begin, std::min(begin + CHUNK, to), prediction, target, of_items.data(), p, q);
    });
    std::fill(sums, sums + width, 0.0);
    for (i64 i = 0; i < shape.items * width; i++) sums[i % width] += of_items[i];
  }

  // sum over resolutions of errors[r, s] p[r, b, s] + distances[s] q[b, s]: (items, submodels, samples).
  static void gradient(const float* errors, const float* distances, const float* p, const float* q,
                       Shape shape, int threads, float* gradient) {
    const i64 rows = shape.items * shape.submodels, length = row(shape.samples);
    in_threads(rows, threads, [&](i64 from, i64 to) {
      for (i64 r = from; r < to; r++) {
        const i64 s = r % shape.submodels;
        const float* own = q + r * length + PAD;
        float* out = gradient + r * shape.samples;
        for (i64 t = 0; t < shape.samples; t++) {
          float g = distances[s] * own[t];
          for (int i = 0; i < RESOLUTIONS; i++)
            g += errors[i * shape.submodels + s] * p[(i * rows + r) * length + PAD + t];
          out[t] = g;
        }
      }
    });
  }

 private:
  static constexpr i64 CHUNK = 8;  // items whose frames share lanes: enough to fill them

  Shape shape;
  Limits limits;
  i64 length;                     // of a padded signal
  std::vector<float> windows;     // each padded to whole vectors
  std::vector<float> waste, none; // of and for frames that are not there
  std::vector<float> targets, predictions;
  std::vector<float> spectra;
  float *z, *second, *magnitudes;

  Mrstft(Shape shape, const float* given, Limits limits, i64 chunk)
      : shape(shape), limits(limits), length(row(shape.samples)) {
    constexpr int longest = std::max({Rs::N...}), span = std::max({(Rs::SPAN + Rs::HOP)...}) + W;
    ((given = append_window<Rs>(given)), ...);
    waste.resize(span);
    none.resize(span);
    targets.resize(chunk * length);
    predictions.resize(chunk * shape.submodels * length);
    spectra.resize((5 * longest + 4) * W + W);
    z = spectra.data();
    while (reinterpret_cast<std::uintptr_t>(z) % (4 * W)) z++;
    second = z + 2 * W * longest;
    magnitudes = second + 2 * W * longest;
  }

  template <class R>
  const float* append_window(const float* given) {
    constexpr int length = R::N - 2 * R::LEFT;
    windows.insert(windows.end(), given, given + length);
    windows.resize(windows.size() + R::SPAN - length);
    return given + length;
  }

  template <class Work>
  static void in_threads(i64 count, int threads, const Work& work) {
    threads = int(std::min<i64>(threads, count));
    std::vector<std::thread> others;
    for (int t = 1; t < threads; t++)
      others.emplace_back(work, count * t / threads, count * (t + 1) / threads);
    work(0, count / std::max(threads, 1));
    for (std::thread& other : others) other.join();
  }

  void chunk(i64 begin, i64 end, const float* prediction, const float* target, double* sums, float* p,
             float* q) {
    const i64 S = shape.submodels, L = shape.samples, first = begin * S, count = (end - begin) * S;
    for (i64 b = 0; b < end - begin; b++) reflect(target + (begin + b) * L, L, PAD, &targets[b * length]);
    for (i64 r = 0; r < count; r++) reflect(prediction + (first + r) * L, L, PAD, &predictions[r * length]);
    if (q) std::fill(q + first * length, q + (first + count) * length, 0.0f);
    const float* window = windows.data();
    int index = 0;
    const auto resolution = [&](auto r) {
      using R = decltype(r);
      float* own = p ? p + (index * shape.items * S + first) * length : nullptr;
      float* distance = q ? q + first * length : nullptr;
      if (p) std::fill(own, own + count * length, 0.0f);
      all_frames<R>(end - begin, window, sums + first * SUMS, index, own, distance);
      for (i64 i = 0; p && i < count; i++) unreflect(own + i * length, L, PAD);
      window += R::SPAN;
      index++;
    };
    (resolution(Rs{}), ...);
    for (i64 i = 0; q && i < count; i++) unreflect(q + (first + i) * length, L, PAD);
  }

  // The frames of a chunk, W pairs at a time.
  template <class R>
  void all_frames(i64 items, const float* window, double* sums, int index, float* p, float* q) {
    const i64 S = shape.submodels, frames = R::num_frames(shape.samples), pairs = (frames + 1) / 2;
    const double share = 1.0 / (double(frames) * R::BINS);
    for (i64 begin = 0; begin < items * pairs; begin += W) {
      Sum energy[2];
      const auto signals = lanes<R, const float>(targets.data(), none.data(), items, begin, 1, 0);
      gather<R>(signals, window, z);
      measure<R>(z, magnitudes, limits, energy);
      for (i64 s = 0; s < S; s++) {
        Comparison results[2];
        gather<R>(lanes<R, const float>(predictions.data(), none.data(), items, begin, S, s), window, z);
        if (p) {
          compare<R, true>(z, second, magnitudes, limits, results);
          scatter<R>(z, window, 1.0f, lanes<R, float>(p, waste.data(), items, begin, S, s));
          scatter<R>(second, window, float(share), lanes<R, float>(q, waste.data(), items, begin, S, s));
        } else {
          compare<R, false>(z, second, magnitudes, limits, results);
        }
        for (int lane = 0; lane < W && begin + lane < items * pairs; lane++) {
          const i64 item = (begin + lane) / pairs, pair = (begin + lane) % pairs;
          double* own = sums + (item * S + s) * SUMS;
          for (int part = 0; part < 2 && 2 * pair + part < frames; part++) {
            own[index] += results[part].error.total[lane];
            own[RESOLUTIONS + index] += energy[part].total[lane];
            own[2 * RESOLUTIONS] += share * results[part].distance(lane);
          }
        }
      }
    }
  }

  // Row `s` of every `S` of the items' padded signals: where W pairs of frames begin in them.
  template <class R, class T>
  Lanes<T> lanes(T* signals, T* missing, i64 items, i64 begin, i64 S, i64 s) const {
    const i64 frames = R::num_frames(shape.samples), pairs = (frames + 1) / 2;
    Lanes<T> result{};
    for (int lane = 0; lane < W; lane++) {
      const i64 item = (begin + lane) / pairs, pair = (begin + lane) % pairs;
      const i64 start = PAD - R::N / 2 + R::LEFT + 2 * pair * R::HOP;
      result.pairs[lane] = item < items ? signals + (item * S + s) * length + start : missing;
      result.second[lane] = 2 * pair + 1 < frames;
    }
    return result;
  }
};

}  // namespace namexp
