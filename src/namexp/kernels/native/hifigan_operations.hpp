// The operations of a HiFi-GAN generator on signals whose rows are positions: each piece of a convolution is
// prepared (activation, transform), multiplied and finished (transform, bias, residual, activation) in the
// nearest cache.
//
// A convolution's outputs lie on a grid that begins at position 0: block a has `outputs` * dilation
// positions, row a * dilation + q gives the positions a * outputs * dilation + j * dilation + q, j < outputs.
// Whoever computes a row, and with which others, does the same arithmetic: chunks and threads change no bit.

#pragma once

#include <algorithm>

#include "hifigan_filters.hpp"
#include "transpose.hpp"

namespace namexp {

enum OperationKind : i64 { CONVOLUTION, UPSAMPLER, MEAN, LAST };

struct Operation {  // field by field `Operation` of hifigan_plan.py
  i64 kind;
  i64 filter;                    // of a convolution: index into the library's filters
  i64 input, residual, output;   // signals; -1: none
  i64 in_channels, out_channels; // of rows in memory, but those of `inputs`
  i64 inputs;                    // channels that are multiplied
  i64 taps;                      // rows that are added up in one product
  i64 outputs, dilation;         // of the grid; an upsampler's outputs are its phases
  i64 lead, lag;                 // positions of the input before and after that of an output
  i64 piece;                     // rows that are computed at once
  float slope_in, slope_out;     // of the LeakyReLU before and after; 1: none
  const float* weights;          // [product][block of outputs][tap][input][output of the block]
  const float* bias;
  const i64* listed;             // of a mean: its `taps` signals; of an upsampler: by how many rows the first
                                 // tap of each phase follows the lead
};

struct Window {  // the rows of a signal that are in memory: position t is at row(t)
  float* data;
  i64 base, channels;
  INLINE float* row(i64 t) const { return data + (t - base) * channels; }
};

struct Piece {  // of an operation: rows [begin, end) of its grid
  const Operation& of;
  Window in, residual, out;
  i64 begin, end;
  float* workspace;
  i64 rows() const { return end - begin; }
  i64 prepared() const { return rows() + (of.taps - 1) * of.dilation; }
};

struct GridRow {  // walks along the rows of a grid
  i64 block, phase;
  GridRow(i64 row, i64 dilation) : block(row / dilation), phase(row % dilation) {}
  void next(i64 dilation) {
    if (++phase == dilation) phase = 0, block++;
  }
};

// --- convolutions -----------------------------------------------------------------------------------------

struct Direct {
  static constexpr int OUTPUTS = 1, PRODUCTS = 1;
  template <int L>
  static INLINE void input(const Vec<L>* x, Vec<L>* v) { v[0] = x[0]; }
  template <int L>
  static INLINE void output(const Vec<L>* m, Vec<L>* y) { y[0] = m[0]; }
};

// [product][row][channel] of the transformed input.
template <class Filter, int L>
OUTLINE inline void prepare(const Piece& piece, float* prepared) {
  const Operation& of = piece.of;
  const i64 channels = of.in_channels, plane = piece.prepared() * channels;
  const i64 step = of.dilation * channels;
  const Vec<L> slope = splat_lanes<L>(of.slope_in);
  GridRow at(piece.begin, of.dilation);
  for (i64 r = 0; r < piece.prepared(); r++, at.next(of.dilation)) {
    const float* in = piece.in.row(at.block * Filter::OUTPUTS * of.dilation + at.phase - of.lead);
    float* to = prepared + r * channels;
    for (i64 c = 0; c < channels; c += L) {
      Vec<L> x[Filter::PRODUCTS], v[Filter::PRODUCTS];
#pragma GCC unroll 16
      for (int i = 0; i < Filter::PRODUCTS; i++) x[i] = leaky(load_lanes<L>(in + i * step + c), slope);
      Filter::template input<L>(x, v);
#pragma GCC unroll 16
      for (int i = 0; i < Filter::PRODUCTS; i++) store_lanes(to + i * plane + c, v[i]);
    }
  }
}

// From [product][row][channel] of what the products gave to the rows of the output.
template <class Filter, int L, bool residual>
OUTLINE inline void finish(const Piece& piece, const float* products) {
  const Operation& of = piece.of;
  const i64 channels = of.out_channels, plane = piece.rows() * channels;
  const i64 step = of.dilation * channels;
  const Vec<L> slope = splat_lanes<L>(of.slope_out);
  GridRow at(piece.begin, of.dilation);
  for (i64 r = 0; r < piece.rows(); r++, at.next(of.dilation)) {
    const i64 t = at.block * Filter::OUTPUTS * of.dilation + at.phase;
    float* out = piece.out.row(t);
    const float* add = residual ? piece.residual.row(t) : nullptr;
    const float* from = products + r * channels;
    for (i64 c = 0; c < channels; c += L) {
      Vec<L> m[Filter::PRODUCTS], y[Filter::OUTPUTS];
#pragma GCC unroll 16
      for (int i = 0; i < Filter::PRODUCTS; i++) m[i] = load_lanes<L>(from + i * plane + c);
      Filter::template output<L>(m, y);
      const Vec<L> bias = load_lanes<L>(of.bias + c);
#pragma GCC unroll 16
      for (int j = 0; j < Filter::OUTPUTS; j++) {
        y[j] += bias;
        if constexpr (residual) y[j] += load_lanes<L>(add + j * step + c);
        store_lanes(out + j * step + c, leaky(y[j], slope));
      }
    }
  }
}

template <class Filter, int L>
inline void convolve(const Piece& piece) {
  const Operation& of = piece.of;
  const bool as_it_is = Filter::PRODUCTS == 1 && of.slope_in == 1.0f;
  float* const products = piece.workspace;
  float* const prepared = products + Filter::PRODUCTS * piece.rows() * of.out_channels;
  if (!as_it_is) {
    if (of.in_channels % W == 0)
      prepare<Filter, W>(piece, prepared);
    else
      prepare<Filter, NARROW>(piece, prepared);
  }
  const i64 plane = piece.prepared() * of.in_channels;
  Product p{as_it_is ? piece.in.row(piece.begin - of.lead) : prepared, of.in_channels,
            of.dilation * of.in_channels, of.taps, of.inputs, of.weights, products, of.out_channels, false};
  for (int i = 0; i < Filter::PRODUCTS; i++) {
    p.weights = product<L>(p, piece.rows(), of.out_channels);
    p.rows += plane;
    p.out += piece.rows() * of.out_channels;
  }
  if (piece.residual.data)
    finish<Filter, L, true>(piece, products);
  else
    finish<Filter, L, false>(piece, products);
}

// Row q of the grid is position q of the input; its phases are the next positions of the output.
template <int L>
inline void upsample(const Piece& piece) {
  const Operation& of = piece.of;
  const i64 channels = of.out_channels, row = of.outputs * channels;
  float* const products = piece.workspace;  // [row][phase][channel]
  const float* weights = of.weights;
  for (i64 phase = 0; phase < of.outputs; phase++) {
    const float* const in = piece.in.row(piece.begin - of.lead + of.listed[phase]);
    float* const to = products + phase * channels;
    weights = product<L>({in, of.in_channels, of.in_channels, of.taps, of.inputs, weights, to, row, false},
                         piece.rows(), channels);
  }
  float* const out = piece.out.row(piece.begin * of.outputs);
  for (i64 r = 0; r < piece.rows() * of.outputs; r++)
    for (i64 c = 0; c < channels; c += L)
      store_lanes(out + r * channels + c,
                  load_lanes<L>(products + r * channels + c) + load_lanes<L>(of.bias + c));
}

// --- the others -------------------------------------------------------------------------------------------

template <int L>
OUTLINE inline void average(const Operation& of, const Window* signals, i64 begin, i64 end) {
  const Vec<L> slope = splat_lanes<L>(of.slope_out), count = splat_lanes<L>(static_cast<float>(of.taps));
  const Window out = signals[of.output];
  for (i64 t = begin; t < end; t++)
    for (i64 c = 0; c < of.out_channels; c += L) {
      Vec<L> sum = load_lanes<L>(signals[of.listed[0]].row(t) + c);
      for (i64 k = 1; k < of.taps; k++) sum += load_lanes<L>(signals[of.listed[k]].row(t) + c);
      store_lanes(out.row(t) + c, leaky(sum / count, slope));
    }
}

// To one channel, through tanh. All taps of all channels are in line, `inputs` of them: whole vectors, whose
// first weights are zero where they begin before the first tap.
OUTLINE inline void last(const Operation& of, Window in, float* audio, i64 begin, i64 end) {
  const i64 early = of.inputs - of.taps * of.in_channels;
  for (i64 t = begin; t < end; t += W) {
    V sums[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) sums[i] = V{};
    const float* row = in.row(t - of.lead + (early > 0)) - early;
    for (i64 k = 0; k < of.inputs; k += W) {
      const V w = held(load(of.weights + k));
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) sums[i] = fused(w, load(row + i * of.in_channels + k), sums[i]);
    }
    transpose(sums);
    for (int half = W / 2; half > 0; half /= 2)
      for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    const V y = hyperbolic_tangent(sums[0] + splat(of.bias[0]));
    std::memcpy(audio + (t - begin), &y, sizeof(float) * std::min<i64>(W, end - t));
  }
}

}  // namespace namexp
