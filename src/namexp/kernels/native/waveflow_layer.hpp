// One layer of an estimator on one row of the picture: gated convolution, conditioning, residual and skip.
//
// The convolution is causal in height: its three taps are this row and two above. Along the width it is
// minimal filtering; every row's transformed input is kept for the rows below, so that each is transformed
// once. A piece is some grid rows, or some columns of a run; pieces touch different outputs.

#pragma once

#include "waveflow_plan.hpp"

namespace namexp {

constexpr i64 BATCH = 48;         // columns that are gated and mixed at once, in the nearest cache
constexpr i64 PIECE_ROWS = 96;    // grid rows of a piece, at most
constexpr i64 HEIGHT_TAPS = 3;
constexpr int FLOW_BLOCK = ACCUMULATORS >= 24 ? 4 : 2;  // vectors of outputs in a tile

struct FlowPoints {
  static constexpr int OUTPUTS = 4;
  static constexpr bool INFINITE = true;
  static constexpr double PAIRS[] = {0.625, 1.5};  // as waveflow_plan.py's
};
using FlowFilter = Minimal<FlowPoints>;

// Sums over `inputs` channels for `rows` rows of all outputs; returns the end of the weights.
inline const float* flow_product(const Product& p, i64 rows, i64 outputs) {
  const float* weights = p.weights;
  i64 column = 0;
  for (; column + FLOW_BLOCK * W <= outputs; column += FLOW_BLOCK * W) {
    product_block<W, FLOW_BLOCK>(p, weights, rows, column);
    weights += p.inputs * FLOW_BLOCK * W;
  }
  for (; column < outputs; column += W) {
    product_block<W, 1>(p, weights, rows, column);
    weights += p.inputs * W;
  }
  return weights;
}

struct LayerRow {  // a layer at a row
  const VocoderPlan& plan;
  const FlowPlan& flow;
  const FlowLayer& layer;
  i64 dilation;
  bool first, last;
  i64 columns;                      // of the picture
  Columns taps[HEIGHT_TAPS];        // residuals of the rows above and this one; no data: above the picture
  float* transformed[HEIGHT_TAPS];  // the same, [product][grid row modulo `ring`][channel]
  i64 ring;
  Columns next, skip, conditioner;
  float* kept;      // conditioning [place][2C]; null: not kept
  bool is_kept;     // it is there
  float* picture;   // this row: noise, then audio
  const Columns& residual() const { return taps[HEIGHT_TAPS - 1]; }
};

struct LayerWorkspace {
  static i64 floats(const VocoderPlan& plan) {
    const i64 C = plan.channels;
    return GRID_PRODUCTS * PIECE_ROWS * 2 * C + BATCH * (plan.mel_row + 2 * C + C + 2 * C + 3);
  }
  LayerWorkspace(const VocoderPlan& plan, float* at)
      : products(at), mels(products + GRID_PRODUCTS * PIECE_ROWS * 2 * plan.channels),
        sums(mels + BATCH * plan.mel_row), gated(sums + BATCH * 2 * plan.channels),
        mixed(gated + BATCH * plan.channels), log_s(mixed + BATCH * 2 * plan.channels), shift(log_s + BATCH),
        noise(shift + BATCH) {}
  float *products, *mels, *sums, *gated, *mixed, *log_s, *shift, *noise;
  i64 columns[BATCH];  // of the picture; -1: beyond its end
};

class LayerPiece {
 public:
  LayerPiece(const LayerRow& row, float* workspace)
      : row_(row), C(row.plan.channels), work_(row.plan, workspace) {}

  // Grid rows [begin, end) that do not go round the ring.
  void grid(i64 begin, i64 end) {
    const i64 count = end - begin, at = begin % row_.ring;
    transform(begin, end);
    for (i64 p = 0; p < GRID_PRODUCTS; p++) {
      const float* weights = row_.layer.filtered + p * HEIGHT_TAPS * 2 * C * C;
      bool add = false;
      for (i64 tap = HEIGHT_TAPS - 1; tap >= 0; tap--) {
        if (!row_.transformed[tap]) continue;
        const float* rows = row_.transformed[tap] + (p * row_.ring + at) * C;
        flow_product({rows, C, 0, 1, C, weights + tap * 2 * C * C, work_.products + p * count * 2 * C, 2 * C,
                      add}, count, 2 * C);
        add = true;
      }
    }
    constexpr i64 rows = BATCH / GRID_OUTPUTS;
    for (i64 g = begin; g < end; g += rows) {
      const i64 some = std::min(rows, end - g);
      for (i64 i = 0; i < some; i++)
        for (i64 j = 0; j < GRID_OUTPUTS; j++) {
          const i64 column = first_column(g + i) + j * row_.dilation;
          work_.columns[i * GRID_OUTPUTS + j] = column < row_.columns ? column : -1;
        }
      const float* conditioned = condition(some * GRID_OUTPUTS, g * GRID_OUTPUTS);
      filtered_gates(conditioned, g - begin, some, count);
      mix(some * GRID_OUTPUTS);
    }
  }

  // Columns [begin, end) of a run; `place` is the first one's in what is kept.
  void run(i64 begin, i64 end, bool left, bool right, i64 place) {
    for (i64 column = begin; column < end; column += BATCH, place += BATCH) {
      const i64 count = std::min(BATCH, end - column);
      for (i64 i = 0; i < count; i++) work_.columns[i] = column + i;
      const float* conditioned = condition(count, place);
      if (conditioned != work_.sums) std::memcpy(work_.sums, conditioned, sizeof(float) * count * 2 * C);
      const bool inside[] = {left, true, right};
      for (i64 tap = HEIGHT_TAPS - 1; tap >= 0; tap--)
        for (i64 k = 0; k < 3; k++) {
          if (!row_.taps[tap].data || !inside[k]) continue;
          const float* weights = row_.layer.direct + (k * HEIGHT_TAPS + tap) * 2 * C * C;
          const float* rows = row_.taps[tap].at(column + (k - 1) * row_.dilation);
          flow_product({rows, C, 0, 1, C, weights, work_.sums, 2 * C, true}, count, 2 * C);
        }
      direct_gates(count);
      mix(count);
    }
  }

 private:
  i64 first_column(i64 g) const {
    return g / row_.dilation * GRID_OUTPUTS * row_.dilation + g % row_.dilation;
  }

  OUTLINE void transform(i64 begin, i64 end) const {
    const i64 step = row_.dilation * C, plane = row_.ring * C;
    float* to = row_.transformed[HEIGHT_TAPS - 1] + begin % row_.ring * C;
    for (i64 g = begin; g < end; g++, to += C) {
      const float* in = row_.residual().at(first_column(g) - row_.dilation);
      for (i64 c = 0; c < C; c += W) {
        V x[GRID_PRODUCTS], v[GRID_PRODUCTS];
#pragma GCC unroll 6
        for (int i = 0; i < GRID_PRODUCTS; i++) x[i] = load(in + i * step + c);
        FlowFilter::input<W>(x, v);
#pragma GCC unroll 6
        for (int i = 0; i < GRID_PRODUCTS; i++) store(to + i * plane + c, v[i]);
      }
    }
  }

  // What the conditioner adds before the gates, [column][2C].
  const float* condition(i64 count, i64 place) {
    float* const to = row_.kept ? row_.kept + place * 2 * C : work_.sums;
    if (row_.is_kept) return to;
    const i64 M = row_.plan.mel_row, size = sizeof(float) * M;
    for (i64 i = 0; i < count; i++)
      if (work_.columns[i] < 0)
        std::memset(work_.mels + i * M, 0, size);
      else
        std::memcpy(work_.mels + i * M, row_.conditioner.at(work_.columns[i]), size);
    flow_product({work_.mels, M, 0, 1, row_.plan.mels, row_.layer.conditioning, to, 2 * C, false}, count,
                 2 * C);
    return to;
  }

  static INLINE V gate(V filter, V gate) { return hyperbolic_tangent(filter) * logistic(gate); }

  // From grid row `first` of `rows` of what the products gave.
  OUTLINE void filtered_gates(const float* conditioned, i64 first, i64 count, i64 rows) const {
    const i64 plane = rows * 2 * C;
    for (i64 i = 0; i < count; i++) {
      const float* from = work_.products + (first + i) * 2 * C;
      const float* add = conditioned + i * GRID_OUTPUTS * 2 * C;
      float* out = work_.gated + i * GRID_OUTPUTS * C;
      for (i64 c = 0; c < C; c += W) {
        V y[2][GRID_OUTPUTS];
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
          V m[GRID_PRODUCTS];
#pragma GCC unroll 6
          for (int p = 0; p < GRID_PRODUCTS; p++) m[p] = load(from + p * plane + half * C + c);
          FlowFilter::output<W>(m, y[half]);
        }
        const V bias[] = {load(row_.layer.bias + c), load(row_.layer.bias + C + c)};
        for (int j = 0; j < GRID_OUTPUTS; j++)
          store(out + j * C + c, gate(y[0][j] + (load(add + j * 2 * C + c) + bias[0]),
                                      y[1][j] + (load(add + j * 2 * C + C + c) + bias[1])));
      }
    }
  }

  OUTLINE void direct_gates(i64 count) const {
    for (i64 i = 0; i < count; i++) {
      const float* from = work_.sums + i * 2 * C;
      for (i64 c = 0; c < C; c += W)
        store(work_.gated + i * C + c, gate(load(from + c) + load(row_.layer.bias + c),
                                            load(from + C + c) + load(row_.layer.bias + C + c)));
    }
  }

  // From the gates to the residual and the skip, or from the last layer's to the audio.
  void mix(i64 count) {
    const i64 outputs = row_.last ? C : 2 * C;
    flow_product({work_.gated, C, 0, 1, C, row_.layer.mixing, work_.mixed, outputs, false}, count, outputs);
    if (row_.last) return finish(count);
    add(count);
  }

  OUTLINE void add(i64 count) const {
    const V kept = splat(row_.plan.kept);
    for (i64 i = 0; i < count; i++) {
      const i64 column = work_.columns[i];
      if (column < 0) continue;
      const float* from = work_.mixed + i * 2 * C;
      const float* before = row_.residual().at(column);
      float* const after = row_.next.at(column);
      float* const skip = row_.skip.at(column);
      for (i64 c = 0; c < C; c += W) {
        const V residual = load(from + c) + load(row_.layer.mixing_bias + c);
        store(after + c, fused(load(row_.layer.gains + c), residual, load(before + c) * kept));
        const V out = load(from + C + c) + load(row_.layer.mixing_bias + C + c);
        store(skip + c, row_.first ? out : load(skip + c) + out);
      }
    }
  }

  OUTLINE void finish(i64 count) const {
    const float* const projection = row_.flow.projection;
    for (i64 i = 0; i < BATCH; i++) work_.log_s[i] = work_.shift[i] = work_.noise[i] = 0.0f;
    for (i64 i = 0; i < count; i++) {
      const i64 column = work_.columns[i];
      if (column < 0) continue;
      const float* skip = row_.first ? nullptr : row_.skip.at(column);
      V log_s = V{}, shift = V{};
      for (i64 c = 0; c < C; c += W) {
        V of = load(work_.mixed + i * C + c) + load(row_.layer.mixing_bias + c);
        if (skip) of += load(skip + c);
        log_s = fused(of, load(projection + c), log_s);
        shift = fused(of, load(projection + C + c), shift);
      }
      work_.log_s[i] = sum(log_s) + row_.flow.projection_bias[0];
      work_.shift[i] = sum(shift) + row_.flow.projection_bias[1];
      work_.noise[i] = row_.picture[column];
    }
    for (i64 i = 0; i < count; i += W) {
      const V scale = exponential(clamped(-load(work_.log_s + i), -87.0f, 87.0f));
      store(work_.noise + i, (load(work_.noise + i) - load(work_.shift + i)) * scale);
    }
    for (i64 i = 0; i < count; i++)
      if (work_.columns[i] >= 0) row_.picture[work_.columns[i]] = work_.noise[i];
  }

  const LayerRow& row_;
  const i64 C;
  LayerWorkspace work_;
};

}  // namespace namexp
