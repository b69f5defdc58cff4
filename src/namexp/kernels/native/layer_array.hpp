// A layer array of a WaveNet, forward and backward, for one item of a batch at a time.
//
// Source: WaveNet computation walkthrough of neural-amp-modeler, "LayerArray Computation".
// Letters: L layers, C channels, B bottleneck, M outputs of a layer's convolution (2B where paired),
// D condition size, H head channels, O outputs of the head, K kernel, W lanes.
//
// All signals share one clock whose end is their common end; a signal that begins later is short at
// its front. The clock counts so that its end is a whole number of vectors; `start` is where a signal
// becomes valid, and everything is computed from the vector that holds it on. What lies before the
// start is finite (it comes from zeros) and reaches no result.
//
// Forward goes through time in chunks, all layers for one chunk, so that everything stays in the
// cache. Where memory allows, it keeps what every activation gave; else backward computes it
// again, to the same bits. Backward goes through the chunks from the end and adds up the residuals of each
// once more. The gradient before an activation lives for one layer of a chunk, but for the
// beginning that the chunk before needs; that of a layer's input goes from layer to layer in place.

#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "activations.hpp"
#include "tasks.hpp"
#include "tiles.hpp"

namespace namexp {

struct LayerCall {
  i64 kind;      // index into the library's kinds
  i64 dilation;  // samples
  float activation[4];
  float gate[4];
};

struct Signal {  // (items, rows, samples); null where there is none
  float* data;
  i64 item_stride, row_stride;
  float* row(i64 item, i64 r) const { return data + item * item_stride + r * row_stride; }
  explicit operator bool() const { return data != nullptr; }
};

struct Call {
  i64 num_layers;
  i64 length;    // samples of x
  i64 residual;  // whether the last layer's residual is used
  i64 chunk;     // samples, whole sub-blocks
  const LayerCall* layers;
  const float* parameters;  // in the order of a file
  float* packed;            // the same in the order of use; written by `pack`
  Signal x, condition, head_input;  // the condition is aligned with x, head_input with the head sum
  Signal out, head;
  Signal g_out, g_head;
  Signal g_x, g_condition, g_head_input;
  float* g_parameters;  // (items, parameters)
  char* kept;           // of all items, between forward and backward; null: backward computes it again
  i64 kept_size;        // bytes of one item
};

constexpr i64 BLOCK = 24 * W;  // samples for which a layer's stages follow each other in the nearest cache

inline i64 vectors_down(i64 t) { return t / W * W; }
inline i64 vectors_up(i64 t) { return (t + W - 1) / W * W; }

inline void fill_zero(Rows rows, i64 count, i64 begin, i64 end) {
  if (begin >= end) return;
  for (i64 r = 0; r < count; r++) std::memset(rows.at(r, begin), 0, sizeof(float) * (end - begin));
}

inline void copy_rows(Rows to, Rows from, i64 count, i64 begin, i64 end) {
  for (i64 r = 0; r < count; r++) std::memcpy(to.at(r, begin), from.at(r, begin), sizeof(float) * (end - begin));
}

// Samples of `signal`, which is valid from `start` on, at [begin, end); zero before.
inline void read_signal(Rows to, const Signal& signal, i64 item, i64 count, i64 start, i64 begin, i64 end) {
  const i64 first = std::min(std::max(start, begin), end);
  fill_zero(to, count, begin, first);
  for (i64 r = 0; r < count; r++)
    std::memcpy(to.at(r, first), signal.row(item, r) + (first - start), sizeof(float) * (end - first));
}

inline void write_signal(const Signal& signal, i64 item, i64 count, i64 start, Rows from, i64 begin, i64 end) {
  const i64 first = std::max(start, begin);
  if (first >= end) return;
  for (i64 r = 0; r < count; r++)
    std::memcpy(signal.row(item, r) + (first - start), from.at(r, first), sizeof(float) * (end - first));
}

inline const float* ones() {  // the row that a bias is a weight of
  static const std::vector<float> row(BLOCK, 1.0f);
  return row.data();
}

template <class F>
INLINE void for_blocks(i64 begin, i64 end, F&& block) {
  for (i64 t = begin; t < end; t += BLOCK) block(t, std::min(end, t + BLOCK));
}

// --- one layer ------------------------------------------------------------------------------------

struct Weights {  // of one layer
  const float* file;
  const float* packed;
};

struct LayerSignals {
  Rows x, next;    // input and residual; the same place in backward: the residual's gradient, in place
  Rows condition;  // also what its gradient is added to, in backward
  Rows head;       // head sum; in backward its gradient
  Rows kept;       // value or argument of the activation
  float* scratch;  // 2M blocks
  i64 dilation, head_start;
  bool residual, keep, streamed;  // streamed: what is kept is not read before backward
};

struct LayerGradient {
  Rows gx, g_condition;  // in place
  Rows gz;               // before the activation; what lies behind the chunk comes from the one after it
  V* sums;
  bool wants_condition;
  i64 ahead;  // samples to what is read of what was kept when the next chunk begins
};

struct Kind {
  i64 kernel_size, mid;  // K, M
  i64 num_parameters, num_packed, num_sums;
  void (*pack)(const float* file, float* packed);
  void (*forward)(const LayerCall&, const Weights&, const LayerSignals&, i64 begin, i64 end);
  void (*rebuild)(const LayerCall&, const Weights&, const LayerSignals&, i64 begin, i64 end);
  void (*backward)(const LayerCall&, const Weights&, const LayerSignals&, const LayerGradient&, i64 begin,
                   i64 end, i64 gx_begin);
  void (*finish)(const V* sums, float* gradient);
};

// Shape gives C, B, D, H and groups; Between is what stands between convolution and head.
template <class Shape, int K, class Between>
struct Layer : Shape {
  using Shape::B;
  using Shape::C;
  using Shape::D;
  using Shape::H;
  static constexpr int M = Between::PAIRED ? 2 * B : B;
  static constexpr int G = Shape::GROUPS_INPUT;
  static constexpr int CG = C / G, MG = M / G;
  static constexpr bool L1X1 = Shape::LAYER1X1, H1X1 = Shape::HEAD1X1;

  // in a file
  static constexpr int CONV = 0, CONV_BIAS = CONV + M * CG * K;
  static constexpr int MIX = CONV_BIAS + M;
  static constexpr int DG = D / Shape::GROUPS_MIX;
  static constexpr int ONE = MIX + M * DG, BG = B / Shape::GROUPS_LAYER1X1;
  static constexpr int ONE_BIAS = ONE + (L1X1 ? C * BG : 0);
  static constexpr int HEAD = ONE_BIAS + (L1X1 ? C : 0), HG = B / Shape::GROUPS_HEAD1X1;
  static constexpr int HEAD_BIAS = HEAD + (H1X1 ? H * HG : 0);
  static constexpr int PARAMETERS = HEAD_BIAS + (H1X1 ? H : 0);

  // packed: 1x1 convolutions are dense there, whatever their groups
  static constexpr int P_CONV = 0, P_MIX = P_CONV + M * CG * K, P_ONE = P_MIX + M * D;
  static constexpr int P_HEAD = P_ONE + (L1X1 ? C * B : 0), P_BACK = P_HEAD + (H1X1 ? H * B : 0);
  static constexpr int P_CONV_T = P_BACK, P_MIX_T = P_CONV_T + M * CG * K, P_ONE_T = P_MIX_T + M * D;
  static constexpr int P_HEAD_T = P_ONE_T + (L1X1 ? C * B : 0);
  static constexpr int PACKED = P_HEAD_T + (H1X1 ? H * B : 0);

  // sums of products, in vectors
  static constexpr int TAPS = CG * K, CONV_ROWS = TAPS + 1 + D;
  static constexpr int S_ONE = M * CONV_ROWS, S_HEAD = S_ONE + (L1X1 ? C * (B + 1) : 0);
  static constexpr int SUMS = S_HEAD + (H1X1 ? H * (B + 1) : 0);

  // Entry (o, i) of a 1x1 convolution with `groups` groups.
  template <int OUT, int IN, int GROUPS>
  static float grouped(const float* w, int o, int i) {
    constexpr int og = OUT / GROUPS, ig = IN / GROUPS;
    return o / og == i / ig ? w[o * ig + i % ig] : 0.0f;
  }

  static void pack(const float* w, float* packed) {
    const auto conv = [&](int m, int i, int k) { return w[CONV + (m * CG + i) * K + k]; };
    const auto mix = [&](int m, int d) { return grouped<M, D, Shape::GROUPS_MIX>(w + MIX, m, d); };
    for (int g = 0; g < G; g++) {
      pack_weights<MG, CG, K>(packed + P_CONV + g * MG * CG * K,
                              [&](int o, int i, int k) { return conv(g * MG + o, i, k); });
      pack_weights<MG, D, 1>(packed + P_MIX + g * MG * D, [&](int o, int i, int) { return mix(g * MG + o, i); });
      pack_weights<CG, MG, K>(packed + P_CONV_T + g * MG * CG * K,
                              [&](int o, int i, int k) { return conv(g * MG + i, o, k); });
    }
    pack_weights<D, M, 1>(packed + P_MIX_T, [&](int o, int i, int) { return mix(i, o); });
    if constexpr (L1X1) {
      const auto one = [&](int c, int b) { return grouped<C, B, Shape::GROUPS_LAYER1X1>(w + ONE, c, b); };
      pack_weights<C, B, 1>(packed + P_ONE, [&](int o, int i, int) { return one(o, i); });
      pack_weights<B, C, 1>(packed + P_ONE_T, [&](int o, int i, int) { return one(i, o); });
    }
    if constexpr (H1X1) {
      const auto head = [&](int h, int b) { return grouped<H, B, Shape::GROUPS_HEAD1X1>(w + HEAD, h, b); };
      pack_weights<H, B, 1>(packed + P_HEAD, [&](int o, int i, int) { return head(o, i); });
      pack_weights<B, H, 1>(packed + P_HEAD_T, [&](int o, int i, int) { return head(i, o); });
    }
  }

  // a from the kept z, for a block: rows of BLOCK samples in `values`.
  static void activate(const Between& between, Rows z, Rows values, i64 begin, i64 end) {
    for (int b = 0; b < B; b++)
      for (i64 t = begin; t < end; t += W)
        store(values.at(b, t), between.value(load(z.at(b, t)), load(z.at(Between::PAIRED ? B + b : b, t))));
  }

  static Rows block_rows(float* memory, i64 begin) { return {memory - begin, BLOCK}; }

  static OUTLINE void convolve(const Between& between, const Weights& w, const LayerSignals& s, Rows kept,
                               i64 begin, i64 end) {
    const i64 past = (K - 1) * s.dilation;
    const bool to_head = Between::DIRECT && !H1X1 && begin >= s.head_start;
    for (int g = 0; g < G; g++)
      for_tiles<MG>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
        V tile[outputs][vectors];
        const int o = g * MG + first;
        clear(tile);
        add_each(tile, w.file + CONV_BIAS + o);
        accumulate<D, 1>(tile, s.condition, t, 0, 0, w.packed + P_MIX + o * D);
        accumulate<CG, K>(tile, s.x.from(g * CG), t, -past, s.dilation, w.packed + P_CONV + o * CG * K);
        if constexpr (Between::DIRECT)
#pragma GCC unroll 8
          for (int i = 0; i < outputs; i++)
#pragma GCC unroll 8
            for (int n = 0; n < vectors; n++) tile[i][n] = between.value(tile[i][n], tile[i][n]);
        store_tile(tile, kept, o, t);
        if (s.streamed) stream_tile(tile, s.kept, o, t);
        if (to_head) add_tile(tile, s.head, o, t);
      });
  }

  template <int O, int N>
  static INLINE void stream_tile(V (&tile)[O][N], Rows rows, i64 first, i64 t) {
#pragma GCC unroll 8
    for (int o = 0; o < O; o++)
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) stream(rows.at(first + o, t + n * W), tile[o][n]);
  }

  template <int O, int N>
  static INLINE void fetch_tile(V (&)[O][N], Rows rows, i64 first, i64 t) {
#pragma GCC unroll 8
    for (int o = 0; o < O; o++)
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) __builtin_prefetch(rows.at(first + o, t + n * W), 0, 3);
  }

  template <int O, int N>
  static INLINE void add_tile(V (&tile)[O][N], Rows rows, i64 first, i64 t) {
#pragma GCC unroll 8
    for (int o = 0; o < O; o++)
#pragma GCC unroll 8
      for (int n = 0; n < N; n++) {
        float* const p = rows.at(first + o, t + n * W);
        store(p, load(p) + tile[o][n]);
      }
  }

  static void forward_block(const Between& between, const Weights& w, const LayerSignals& s, i64 begin,
                            i64 end) {
    const Rows kept = s.keep && !s.streamed ? s.kept : block_rows(s.scratch, begin);
    convolve(between, w, s, kept, begin, end);
    const Rows a = Between::DIRECT ? kept : block_rows(s.scratch + M * BLOCK, begin);
    if constexpr (!Between::DIRECT) activate(between, kept, a, begin, end);
    if (begin >= s.head_start) {
      if constexpr (H1X1)
        add_1x1<H>(s.head, s.head, a, w.file + HEAD_BIAS, w.packed + P_HEAD, begin, end);
      else if constexpr (!Between::DIRECT)
        add_rows(s.head, a, begin, end);
    }
    if (s.residual) residual_block(w, s, a, begin, end);
  }

  static void residual_block(const Weights& w, const LayerSignals& s, Rows a, i64 begin, i64 end) {
    if constexpr (L1X1) {
      add_1x1<C>(s.next, s.x, a, w.file + ONE_BIAS, w.packed + P_ONE, begin, end);
    } else {
      copy_rows(s.next, s.x, C, begin, end);
      add_rows(s.next, a, begin, end);
    }
  }

  // to = from + bias + weights a
  template <int OUT>
  static INLINE void add_1x1(Rows to, Rows from, Rows a, const float* bias, const float* weights, i64 begin,
                             i64 end) {
    for_tiles<OUT>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      load_tile(tile, from, first, t);
      add_each(tile, bias + first);
      accumulate<B, 1>(tile, a, t, 0, 0, weights + first * B);
      store_tile(tile, to, first, t);
    });
  }

  static void add_rows(Rows to, Rows from, i64 begin, i64 end) {
    for (int b = 0; b < B; b++)
      for (i64 t = begin; t < end; t += W) store(to.at(b, t), load(to.at(b, t)) + load(from.at(b, t)));
  }

  static void forward(const LayerCall& layer, const Weights& w, const LayerSignals& s, i64 begin, i64 end) {
    const Between between(layer.activation, layer.gate);
    const i64 middle = std::min(std::max(begin, s.head_start), end);  // the head begins later
    for_blocks(begin, middle, [&](i64 t, i64 stop) { forward_block(between, w, s, t, stop); });
    for_blocks(middle, end, [&](i64 t, i64 stop) { forward_block(between, w, s, t, stop); });
  }

  // The residual alone, from what was kept: the same bits as in forward.
  static void rebuild(const LayerCall& layer, const Weights& w, const LayerSignals& s, i64 begin, i64 end) {
    const Between between(layer.activation, layer.gate);
    for_blocks(begin, end, [&](i64 t, i64 stop) {
      const Rows a = Between::DIRECT ? s.kept : block_rows(s.scratch, t);
      if constexpr (!Between::DIRECT) activate(between, s.kept, a, t, stop);
      residual_block(w, s, a, t, stop);
    });
  }

  // Gradient before the activation, and that of the 1x1 convolutions.
  static OUTLINE void backward_values(const Between& between, const Weights& w, const LayerSignals& s,
                              const LayerGradient& g, i64 begin, i64 end) {
    const Rows a = Between::DIRECT ? s.kept : block_rows(s.scratch, begin);
    if constexpr (!Between::DIRECT) activate(between, s.kept, a, begin, end);
    const float* rows[B + 1];
    for (int b = 0; b < B; b++) rows[b] = a.at(b, begin);
    rows[B] = ones();
    if constexpr (L1X1)
      if (s.residual) outer<C, B + 1>(g.gx, begin, rows, end - begin, g.sums + S_ONE);
    if constexpr (H1X1)
      if (begin >= s.head_start) outer<H, B + 1>(s.head, begin, rows, end - begin, g.sums + S_HEAD);
    const Rows ga = block_rows(s.scratch + M * BLOCK, begin);
    for_tiles<B>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      if constexpr (H1X1) {
        clear(tile);
        accumulate<H, 1>(tile, s.head, t, 0, 0, w.packed + P_HEAD_T + first * H);
      } else {
        load_tile(tile, s.head, first, t);
      }
      if (s.residual) {
        if constexpr (L1X1) {
          accumulate<C, 1>(tile, g.gx, t, 0, 0, w.packed + P_ONE_T + first * C);
        } else {
#pragma GCC unroll 8
          for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
            for (int n = 0; n < vectors; n++) tile[o][n] += load(g.gx.at(first + o, t + n * W));
        }
      }
      if constexpr (Between::DIRECT) {
#pragma GCC unroll 8
        for (int o = 0; o < outputs; o++)
#pragma GCC unroll 8
          for (int n = 0; n < vectors; n++) tile[o][n] *= between.slope(load(s.kept.at(first + o, t + n * W)));
        store_tile(tile, g.gz, first, t);
      } else {
        store_tile(tile, ga, first, t);
      }
    });
    if constexpr (!Between::DIRECT)
      for (int b = 0; b < B; b++)
        for (i64 t = begin; t < end; t += W) {
          const i64 pair = Between::PAIRED ? B + b : b;
          V g1, g2;
          between.slopes(load(s.kept.at(b, t)), load(s.kept.at(pair, t)), load(ga.at(b, t)), g1, g2);
          if constexpr (Between::PAIRED) store(g.gz.at(pair, t), g2);
          store(g.gz.at(b, t), g1);
        }
  }

  static OUTLINE void backward_weights(const LayerSignals& s, const LayerGradient& g, i64 begin, i64 end) {
    const float* rows[CONV_ROWS];
    rows[TAPS] = ones();
    for (int d = 0; d < D; d++) rows[TAPS + 1 + d] = s.condition.at(d, begin);
    for (int group = 0; group < G; group++) {
      for (int i = 0; i < CG; i++)
        for (int k = 0; k < K; k++) rows[i * K + k] = s.x.at(group * CG + i, begin - (K - 1 - k) * s.dilation);
      outer<MG, CONV_ROWS>(g.gz.from(group * MG), begin, rows, end - begin,
                           g.sums + group * MG * CONV_ROWS);
    }
  }

  static OUTLINE void backward_input(const Weights& w, const LayerSignals& s, const LayerGradient& g, i64 begin,
                                     i64 end) {
    for (int group = 0; group < G; group++)
      for_tiles<CG>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
        V tile[outputs][vectors];
        const int c = group * CG + first;
        load_tile(tile, g.gx, c, t);
        if constexpr (M >= C) fetch_tile(tile, s.kept, c, t - g.ahead);  // this stage leaves the memory idle
        accumulate<MG, K>(tile, g.gz.from(group * MG), t, (K - 1) * s.dilation, -s.dilation,
                          w.packed + P_CONV_T + c * MG * K);
        store_tile(tile, g.gx, c, t);
      });
  }

  static OUTLINE void backward_condition(const Weights& w, const LayerSignals& s, const LayerGradient& g,
                                         i64 begin, i64 end) {
    for_tiles<D>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      load_tile(tile, g.g_condition, first, t);
      accumulate<M, 1>(tile, g.gz, t, 0, 0, w.packed + P_MIX_T + first * M);
      store_tile(tile, g.g_condition, first, t);
    });
  }

  // Over [begin, end) of the layer's output; its input's gradient from gx_begin <= begin on.
  static void backward(const LayerCall& layer, const Weights& w, const LayerSignals& s,
                       const LayerGradient& g, i64 begin, i64 end, i64 gx_begin) {
    const Between between(layer.activation, layer.gate);
    const i64 middle = std::min(std::max(begin, s.head_start), end);
    const auto values_and_weights = [&](i64 t, i64 stop) {
      backward_values(between, w, s, g, t, stop);
      backward_weights(s, g, t, stop);
    };
    for_blocks(begin, middle, values_and_weights);
    for_blocks(middle, end, values_and_weights);
    fill_zero(g.gz, M, gx_begin, std::min(begin, end));
    if (g.wants_condition && begin < end) backward_condition(w, s, g, begin, end);
    backward_input(w, s, g, gx_begin, end);
  }

  template <int OUT, int IN, int GROUPS>
  static void finish_1x1(const V* sums, i64 width, float* gradient) {
    constexpr int og = OUT / GROUPS, ig = IN / GROUPS;
    for (int o = 0; o < OUT; o++)
      for (int i = 0; i < ig; i++) gradient[o * ig + i] = sum(sums[o * width + o / og * ig + i]);
  }

  static void finish(const V* sums, float* gradient) {
    for (int m = 0; m < M; m++) {
      for (int i = 0; i < TAPS; i++) gradient[CONV + m * TAPS + i] = sum(sums[m * CONV_ROWS + i]);
      gradient[CONV_BIAS + m] = sum(sums[m * CONV_ROWS + TAPS]);
    }
    finish_1x1<M, D, Shape::GROUPS_MIX>(sums + TAPS + 1, CONV_ROWS, gradient + MIX);
    if constexpr (L1X1) {
      finish_1x1<C, B, Shape::GROUPS_LAYER1X1>(sums + S_ONE, B + 1, gradient + ONE);
      for (int c = 0; c < C; c++) gradient[ONE_BIAS + c] = sum(sums[S_ONE + c * (B + 1) + B]);
    }
    if constexpr (H1X1) {
      finish_1x1<H, B, Shape::GROUPS_HEAD1X1>(sums + S_HEAD, B + 1, gradient + HEAD);
      for (int h = 0; h < H; h++) gradient[HEAD_BIAS + h] = sum(sums[S_HEAD + h * (B + 1) + B]);
    }
  }

  static constexpr Kind kind() {
    return {K, M, PARAMETERS, PACKED, SUMS, pack, forward, rebuild, backward, finish};
  }
};

}  // namespace namexp
