// The inverse of WaveFlow and NanoFlow, flow by flow, row by row, all threads in one layer of one row.
//
// A long picture goes through a flow some columns at a time: every row follows the one above as far behind as
// its estimator looks ahead, so that what a column gives is the same bits however it is reached.

#pragma once

#include "hifigan_team.hpp"
#include "waveflow_conditioner.hpp"
#include "waveflow_layout.hpp"

namespace namexp {

class Inverse {
 public:
  Inverse(const VocoderPlan& plan, const VocoderCall& call)
      : plan_(plan), call_(call), layout_(plan, call), ends_(plan, call), team_(call.threads),
        kept_(plan.height), residual_bases_(ends_.rows * plan.num_layers), out_bases_(ends_.rows) {}

  void run() {
    for (i64 flow = plan_.num_flows - 1; flow >= 0; flow--) {
      ends_.begin();
      for (i64 row = 0; row < ends_.rows; row++) {
        out_bases_[row] = 0;
        for (i64 n = 0; n < plan_.num_layers; n++) residual_base(row, n) = -plan_.widths[n];
      }
      while (!ends_.complete())
        for (i64 row = 0; row < ends_.rows; row++) advance(plan_.flows[flow], row);
    }
  }

 private:
  i64& residual_base(i64 row, i64 layer) { return residual_bases_[row * plan_.num_layers + layer]; }

  Columns residual(i64 row, i64 layer) {
    return {call_.memory + layout_.residual(row, layer), residual_base(row, layer), plan_.channels};
  }
  Columns skip(i64 row) { return {call_.memory + layout_.skip(row), out_bases_[row], plan_.channels}; }
  Columns conditioner(i64 row) {
    return {call_.memory + layout_.conditioner(row), out_bases_[row], plan_.mel_row};
  }
  i64 place_of(const FlowPlan& flow, i64 row) const { return flow.rows[row + plan_.keep_first]; }

  void advance(const FlowPlan& flow, i64 row) {
    const i64 end = ends_.available(row);
    if (end == ends_.at(row, 0) && end < call_.columns) return;
    if (ends_.at(row, plan_.num_layers) == call_.columns) return;
    if (!layout_.whole) slide(row);
    begin(flow, row, end);
    for (i64 n = 0; n < plan_.num_layers; n++) {
      const i64 before = ends_.at(row, n + 1);
      const i64 after = settled(ends_.at(row, n), plan_.widths[n], call_.columns);
      if (after > before) compute(flow, row, n, before, after);
      ends_.set(row, n + 1, after);
    }
    kept_[place_of(flow, row)] = call_.cached;
  }

  static void keep(Columns signal, i64 from, i64 end) {
    if (from > signal.base)
      std::memmove(signal.data, signal.at(from), sizeof(float) * signal.channels * (end - from));
  }

  // Forgets the columns of a row that it does not need any more.
  void slide(i64 row) {
    const i64 out = ends_.at(row, plan_.num_layers);
    keep(skip(row), out, ends_.at(row, 1));
    keep(conditioner(row), out, ends_.at(row, 0));
    out_bases_[row] = out;
    for (i64 n = 0; n < plan_.num_layers; n++) {
      const i64 from = ends_.at(row, n + 1) - plan_.widths[n];
      keep(residual(row, n), from, ends_.at(row, n));
      residual_base(row, n) = from;
    }
  }

  // More columns of the conditioner and of the first residual.
  void begin(const FlowPlan& flow, i64 row, i64 end) {
    const i64 first = ends_.at(row, 0), threads = team_.threads(), L = plan_.num_layers;
    const i64 size = std::max<i64>(16, (end - first + threads - 1) / threads);
    const Columns mels = conditioner(row), to = residual(row, 0);
    const i64 above = row - 1 + plan_.keep_first;
    const float* const input = above < 0 ? nullptr : call_.picture + flow.rows[above] * call_.columns;
    for (i64 n = 0; n < L && !first; n++)
      std::memset(residual(row, n).at(-plan_.widths[n]), 0, sizeof(float) * plan_.widths[n] * plan_.channels);
    team_.run((end - first + size - 1) / size, [&](i64 piece, i64) {
      const i64 from = first + piece * size, until = std::min(end, from + size);
      if (!kept_[place_of(flow, row)])
        Conditioner(plan_, call_).fill(place_of(flow, row), from, until, mels);
      for (i64 column = from; column < until; column++) {
        const V x = splat(input ? input[column] : 0.0f);
        for (i64 c = 0; c < plan_.channels; c += W)
          store(to.at(column) + c, fused(x, load(flow.front_weight + c), load(flow.front_bias + c)));
      }
    });
    ends_.set(row, 0, end);
  }

  // Columns [before, after) of a layer's outputs.
  void compute(const FlowPlan& flow, i64 row, i64 n, i64 before, i64 after) {
    const bool complete = after == call_.columns;
    const Grid& grid = layout_.grids[n];
    const i64 first = before / GRID_OUTPUTS, last = complete ? grid.rows : after / GRID_OUTPUTS;
    const LayerRow at = layer_row(flow, row, n);
    if (complete && layout_.read_end(n) > call_.columns)
      std::memset(at.residual().at(call_.columns), 0,
                  sizeof(float) * plan_.channels * (layout_.read_end(n) - call_.columns));
    pieces_.clear();
    if (complete) add_runs(grid);
    add_rows(first, last, at.ring);
    team_.run(static_cast<i64>(pieces_.size()), [&](i64 piece, i64 thread) {
      const Piece& of = pieces_[piece];
      LayerPiece layer(at, call_.memory + layout_.workspace(thread));
      if (of.run)
        layer.run(of.begin, of.end, of.run->left, of.run->right, of.place);
      else
        layer.grid(of.begin, of.end);
    });
  }

  LayerRow layer_row(const FlowPlan& flow, i64 row, i64 n) {
    const bool last = n + 1 == plan_.num_layers;
    const i64 place = place_of(flow, row);
    LayerRow at{plan_, flow, flow.layers[n], plan_.widths[n], n == 0, last, call_.columns, {}, {},
                layout_.ring(n), last ? Columns{} : residual(row, n + 1), skip(row), conditioner(row),
                nullptr, kept_[place], call_.picture + place * call_.columns};
    for (i64 tap = 0; tap < HEIGHT_TAPS; tap++) {
      const i64 of = row - (HEIGHT_TAPS - 1 - tap) * plan_.heights[n];
      at.taps[tap] = of < 0 ? Columns{} : residual(of, n);
      at.transformed[tap] = of < 0 ? nullptr : call_.memory + layout_.transformed(of, n);
    }
    if (call_.cached) at.kept = call_.memory + layout_.kept(place, n);
    return at;
  }

  struct Piece {
    i64 begin, end;        // grid rows, or columns of a run
    const Grid::Run* run;  // or null
    i64 place;             // of a run in the kept conditioning
  };

  void add_runs(const Grid& grid) {
    i64 place = grid.rows * GRID_OUTPUTS;
    for (const Grid::Run& run : grid.runs)
      for (i64 begin = run.begin; begin < run.end; begin += BATCH) {
        const i64 end = std::min(run.end, begin + BATCH);
        pieces_.push_back({begin, end, &run, place});
        place += end - begin;
      }
  }

  // Grid rows in pieces of nearly one size, as many for each thread, cut where the ring begins anew.
  void add_rows(i64 first, i64 last, i64 ring) {
    constexpr i64 unit = ACCUMULATORS / FLOW_BLOCK;
    const i64 rows = last - first, threads = team_.threads();
    if (rows <= 0) return;
    const i64 rounds = (rows + PIECE_ROWS * threads - 1) / (PIECE_ROWS * threads);
    const i64 even = (rows + rounds * threads * unit - 1) / (rounds * threads * unit) * unit;
    for (i64 begin = first, end; begin < last; begin = end) {
      end = std::min({last, begin + even, (begin / ring + 1) * ring});
      pieces_.push_back({begin, end, nullptr, 0});
    }
  }

  const VocoderPlan& plan_;
  const VocoderCall& call_;
  const Layout layout_;
  Ends ends_;
  Team team_;
  std::vector<bool> kept_;  // rows of the audio whose conditioning is kept
  std::vector<i64> residual_bases_, out_bases_;
  std::vector<Piece> pieces_;
};

}  // namespace namexp

// The plain C interface.
#define NAMEXP_WAVEFLOW                                                                                   \
  extern "C" {                                                                                            \
  EXPORTED void namexp_vectors(namexp::i64* sizes) {                                                      \
    sizes[0] = namexp::W, sizes[1] = namexp::FLOW_BLOCK;                                                  \
  }                                                                                                       \
  EXPORTED namexp::i64 namexp_memory(const namexp::VocoderPlan* plan,                                     \
                                     const namexp::VocoderCall* call) {                                   \
    return namexp::Layout(*plan, *call).floats;                                                           \
  }                                                                                                       \
  EXPORTED void namexp_inverse(const namexp::VocoderPlan* plan,                                           \
                               const namexp::VocoderCall* call) {                                         \
    namexp::Inverse(*plan, *call).run();                                                                  \
  }                                                                                                       \
  }
