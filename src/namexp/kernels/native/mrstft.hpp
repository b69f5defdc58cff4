// The sums of the multi-resolution STFT loss and their gradients, in one pass over the signals.
//
// W frames fill the lanes. What a frame gives depends neither on its lane nor on its neighbours, and
// everything is added up in the order of frames: the same bits with any number of threads.

#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "bins.hpp"
#include "frames.hpp"

namespace namexp {

// Magnitudes of W frames of the target, in the order of groups(), and their energies.
template <class R>
__attribute__((noinline)) void measure(float* z, float* magnitudes, float least, VD& energy) {
  constexpr int n = R::HALF, m = n / radix_of(n);
  split_signal<n, R::SPAN / 2>(z);
  for (const Group& group : groups<n>()) {
    for (int block : group.blocks) forward<m>(at(z, block * m));
    const auto measure_bins = [&](const std::vector<Mirrored>& all, int count) {
      V squares[2]{};
      for (const Mirrored& bins : all) {
        const Spectrum x = spectrum_of(z, bins);
        const V a = clamped_magnitude(power_of(x.a), least), b = clamped_magnitude(power_of(x.b), least);
        store(magnitudes, a);
        store(magnitudes + W, b);
        magnitudes += 2 * W;
        squares[0] = fused(a, a, squares[0]);
        squares[1] = fused(b, b, squares[1]);
      }
      for (int i = 0; i < count; i++) energy += doubles(squares[i]);
    };
    measure_bins(group.bins, 2);
    measure_bins(group.middle, 1);
  }
}

// W frames of the prediction against those magnitudes. With gradients, z and q get those of error and
// distance with respect to samples, not yet windowed.
template <class R, bool gradients>
__attribute__((noinline)) void compare(float* z, float* q, const float* magnitudes, float least,
                                       Comparison& result) {
  constexpr int n = R::HALF, m = n / radix_of(n);
  split_signal<n, R::SPAN / 2>(z);
  for (const Group& group : groups<n>()) {
    for (int block : group.blocks) forward<m>(at(z, block * m));
    const auto compare_all = [&](const std::vector<Mirrored>& all, int count) {
      const Mirrored *bins = all.data(), *last = bins + all.size();
      while (bins < last) {
        Terms terms[2];
        for (const auto* end = std::min(bins + Terms::MOST, last); bins < end; bins++, magnitudes += 2 * W)
          compare_bins<gradients>(z, q, *bins, magnitudes, least, terms[0], terms[1]);
        for (int i = 0; i < count; i++) result.add(terms[i]);
      }
    };
    compare_all(group.bins, 2);
    compare_all(group.middle, 1);
    if (!gradients) continue;
    for (float* spectrum : {z, q}) {
      if (group.blocks[0] == 0) store_complex(spectrum, load_complex(spectrum) * 2.0f);  // has no image
      for (int block : group.blocks) inverse<m>(at(spectrum, block * m));
    }
  }
  if (!gradients) return;
  join_signal<n, R::SPAN / 2>(z);
  join_signal<n, R::SPAN / 2>(q);
}

// Calls work(from, to) for parts of [0, count), each in a thread of its own.
template <class Work>
void in_threads(i64 count, int threads, const Work& work) {
  const i64 parts = std::max<i64>(std::min<i64>(threads, count), 1);
  std::vector<std::thread> others;
  for (i64 t = 1; t < parts; t++) {
    const i64 from = count * t / parts, to = count * (t + 1) / parts;
    try {
      others.emplace_back(work, from, to);
    } catch (const std::system_error&) {  // the system has no more threads
      work(from, to);
    }
  }
  work(0, count / parts);
  for (std::thread& other : others) other.join();
}

struct Shape {
  i64 items, submodels, samples;
};

// The loss of fixed resolutions; an object is one thread's workspace.
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
                   float least, int threads, double* sums, float* p, float* q) {
    const i64 width = shape.submodels * SUMS;
    std::vector<double> of_items(shape.items * width);
    in_threads(shape.items, threads, [&](i64 from, i64 to) {
      Mrstft work(shape, windows, least, std::min(to - from, CHUNK));
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
  static constexpr i64 CHUNK = 4;  // items whose frames share lanes: enough to fill most of them

  using Floats = std::unique_ptr<float[]>;

  Shape shape;
  float least;
  i64 length;                   // of a padded signal
  std::vector<float> windows;   // each padded to whole vectors
  std::vector<float> none;      // the signal of frames that are not there
  std::vector<float> waste;     // and what becomes of their gradient
  Floats targets, predictions;  // padded signals of a chunk
  Floats spectra;
  float *z, *second, *magnitudes;

  Mrstft(Shape shape, const float* given, float least, i64 chunk)
      : shape(shape), least(least), length(row(shape.samples)) {
    constexpr int longest = std::max({Rs::N...}), span = std::max({Rs::SPAN...});
    ((append_window<Rs>(given), given += Rs::WINDOW), ...);
    none.resize(span);
    waste.resize(span);
    targets.reset(new float[chunk * length]);
    predictions.reset(new float[chunk * shape.submodels * length]);
    spectra.reset(new float[(2 * longest + longest / 2 + 3) * W]);
    z = spectra.get();
    while (reinterpret_cast<std::uintptr_t>(z) % (4 * W)) z++;
    second = z + W * longest;
    magnitudes = second + W * longest;
  }

  template <class R>
  void append_window(const float* given) {
    windows.insert(windows.end(), given, given + R::WINDOW);
    windows.resize(windows.size() + R::SPAN - R::WINDOW);
  }

  void chunk(i64 begin, i64 end, const float* prediction, const float* target, double* sums, float* p,
             float* q) {
    const i64 S = shape.submodels, L = shape.samples, first = begin * S, count = (end - begin) * S;
    for (i64 b = 0; b < end - begin; b++) reflect(target + (begin + b) * L, L, PAD, &targets[b * length]);
    for (i64 r = 0; r < count; r++) reflect(prediction + (first + r) * L, L, PAD, &predictions[r * length]);
    const float* window = windows.data();
    int index = 0;
    const auto resolution = [&](auto r) {
      using R = decltype(r);
      float* own = p ? cleared(p + (index * shape.items * S + first) * length, count) : nullptr;
      all_frames<R>(end - begin, window, sums + first * SUMS, index, own, q);
      if (p) unreflect_all(own, count);
      window += R::SPAN;
      index++;
    };
    if (q) q = cleared(q + first * length, count);
    (resolution(Rs{}), ...);
    if (q) unreflect_all(q, count);
  }

  float* cleared(float* rows, i64 count) const {
    std::fill(rows, rows + count * length, 0.0f);
    return rows;
  }

  void unreflect_all(float* rows, i64 count) const {
    for (i64 i = 0; i < count; i++) unreflect(rows + i * length, shape.samples, PAD);
  }

  // Which frames the lanes hold: `count` of them, by item and number.
  struct Frames {
    int count;
    i64 item[W], frame[W];
  };

  // The frames of a chunk, W at a time.
  template <class R>
  void all_frames(i64 items, const float* window, double* sums, int index, float* p, float* q) {
    const i64 of_item = R::num_frames(shape.samples), total = items * of_item, S = shape.submodels;
    const double share = 1.0 / (double(of_item) * R::BINS);
    for (i64 begin = 0; begin < total; begin += W) {
      Frames frames{int(std::min<i64>(W, total - begin)), {}, {}};
      for (int lane = 0; lane < frames.count; lane++) {
        frames.item[lane] = (begin + lane) / of_item;
        frames.frame[lane] = (begin + lane) % of_item;
      }
      VD energy{};
      gather<R>(lanes<R>(frames, targets.get(), none.data(), 1, 0), window, z);
      measure<R>(z, magnitudes, least, energy);
      for (i64 s = 0; s < S; s++) {
        Comparison result;
        gather<R>(lanes<R>(frames, predictions.get(), none.data(), S, s), window, z);
        if (p) {
          compare<R, true>(z, second, magnitudes, least, result);
          scatter<R>(z, window, 1.0f, lanes<R>(frames, p, waste.data(), S, s));
          scatter<R>(second, window, float(share), lanes<R>(frames, q, waste.data(), S, s));
        } else {
          compare<R, false>(z, second, magnitudes, least, result);
        }
        for (int lane = 0; lane < frames.count; lane++) {
          double* own = sums + (frames.item[lane] * S + s) * SUMS;
          own[index] += result.error[lane];
          own[RESOLUTIONS + index] += energy[lane];
          own[2 * RESOLUTIONS] += share * result.distance(lane);
        }
      }
    }
  }

  // Row `s` of every `S` of the items' padded signals: where the frames begin in them.
  template <class R>
  Lanes lanes(const Frames& frames, float* signals, float* missing, i64 S, i64 s) const {
    constexpr int start = PAD - R::N / 2 + R::LEFT;
    Lanes result;
    for (int lane = 0; lane < W; lane++) {
      float* signal = signals + (frames.item[lane] * S + s) * length;
      result.frames[lane] = lane < frames.count ? signal + start + frames.frame[lane] * R::HOP : missing;
    }
    return result;
  }
};

}  // namespace namexp
