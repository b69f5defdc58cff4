// How far every row and layer of a flow comes in each step, and the memory that this takes.

#pragma once

#include "waveflow_layer.hpp"

namespace namexp {

// Columns that a layer settles when its input is settled up to `input`.
inline i64 settled(i64 input, i64 dilation, i64 columns) {
  const i64 block = GRID_OUTPUTS * dilation;
  return input == columns ? columns : std::max<i64>(0, input - dilation) / block * block;
}

// The ends of what is there, of all rows of a flow: of each layer's residual, and of the audio.
class Ends {
 public:
  Ends(const VocoderPlan& plan, const VocoderCall& call)
      : rows(plan.height - plan.keep_first), columns_(call.columns), layers_(plan.num_layers),
        chunk_(call.chunk ? call.chunk : call.columns), ends_(rows * (layers_ + 1)) {}

  const i64 rows;

  void begin() { std::fill(ends_.begin(), ends_.end(), 0); }
  bool complete() const { return at(rows - 1, layers_) == columns_; }
  i64 at(i64 row, i64 layer) const { return ends_[row * (layers_ + 1) + layer]; }
  void set(i64 row, i64 layer, i64 end) { ends_[row * (layers_ + 1) + layer] = end; }

  // The end of what a row may take now: its input is the row above.
  i64 available(i64 row) const {
    return std::min(row ? at(row - 1, layers_) : columns_, at(row, 0) + chunk_);
  }

  // Where the first of the rows that look at this one will go on.
  i64 oldest(i64 row, i64 layer, i64 height) const {
    i64 found = at(row, layer + 1);
    for (i64 tap = 1; tap < HEIGHT_TAPS && row + tap * height < rows; tap++)
      found = std::min(found, at(row + tap * height, layer + 1));
    return found;
  }

 private:
  const i64 columns_, layers_, chunk_;
  std::vector<i64> ends_;
};

class Layout {
 public:
  Layout(const VocoderPlan& plan, const VocoderCall& call)
      : whole(!call.chunk || call.chunk >= call.columns), plan_(plan) {
    for (i64 n = 0; n < plan.num_layers; n++)
      grids.emplace_back(call.columns, plan.widths[n], whole && plan.flows[0].layers[n].direct);
    measure(plan, call);
    place(plan, call);
  }

  const bool whole;         // all columns in one step: rows that nobody looks at any more make room
  std::vector<Grid> grids;  // of the layers
  i64 floats = 0;           // of all

  i64 ring(i64 layer) const { return rings_[layer]; }
  i64 slots(i64 layer) const { return whole ? (HEIGHT_TAPS - 1) * plan_.heights[layer] + 1 : rows_; }
  i64 residual(i64 row, i64 layer) const {
    return residuals_[layer] + row % slots(layer) * spans_[layer] * plan_.channels;
  }
  i64 transformed(i64 row, i64 layer) const {
    return transformed_[layer] + row % slots(layer) * GRID_PRODUCTS * rings_[layer] * plan_.channels;
  }
  i64 skip(i64 row) const { return skips_ + (whole ? 0 : row) * skip_span_ * plan_.channels; }
  i64 conditioner(i64 row) const { return conditioners_ + (whole ? 0 : row) * mel_span_ * plan_.mel_row; }
  i64 kept(i64 row, i64 layer) const { return kept_ + row * kept_row_ + kept_layers_[layer]; }
  i64 workspace(i64 thread) const { return workspaces_ + thread * LayerWorkspace::floats(plan_); }

  // The end of what minimal filtering reads, beyond the picture too.
  i64 read_end(i64 layer) const {
    const i64 d = plan_.widths[layer], blocks = (grids[layer].rows + d - 1) / d;
    return blocks ? blocks * GRID_OUTPUTS * d + d : 0;
  }

 private:
  i64 grid_end(i64 layer, i64 end, i64 columns) const {
    return end == columns ? grids[layer].rows : end / GRID_OUTPUTS;
  }

  // A flow without arithmetic: how much of every signal is needed at once.
  void measure(const VocoderPlan& plan, const VocoderCall& call) {
    const i64 L = plan.num_layers;
    Ends ends(plan, call);
    rows_ = ends.rows;
    rings_.assign(L, 1), spans_.assign(L, 0);
    for (; !ends.complete();)
      for (i64 row = 0; row < rows_; row++) {
        const i64 out = ends.at(row, L);
        ends.set(row, 0, ends.available(row));
        mel_span_ = std::max(mel_span_, ends.at(row, 0) - out);
        for (i64 n = 0; n < L; n++) {
          const i64 d = plan.widths[n], in = ends.at(row, n), end = settled(in, d, call.columns);
          const i64 read = in == call.columns ? std::max(in, read_end(n)) : in;
          spans_[n] = std::max(spans_[n], read - (ends.at(row, n + 1) - d));
          const i64 oldest = ends.oldest(row, n, plan.heights[n]);
          rings_[n] = std::max(rings_[n], grid_end(n, end, call.columns) -
                                              std::min(grids[n].rows, oldest / GRID_OUTPUTS));
          ends.set(row, n + 1, end);
          if (n == 0) skip_span_ = std::max(skip_span_, end - out);
        }
      }
  }

  i64 take(i64 count) {
    const i64 at = floats;
    floats += (count + W - 1) / W * W;
    return at;
  }

  void place(const VocoderPlan& plan, const VocoderCall& call) {
    const i64 C = plan.channels;
    for (i64 n = 0; n < plan.num_layers; n++) {
      residuals_.push_back(take(slots(n) * spans_[n] * C));
      transformed_.push_back(take(slots(n) * GRID_PRODUCTS * rings_[n] * C));
      i64 places = grids[n].rows * GRID_OUTPUTS;
      for (const Grid::Run& run : grids[n].runs) places += run.end - run.begin;
      kept_layers_.push_back(kept_row_);
      kept_row_ += places * 2 * C;
    }
    skips_ = take((whole ? 1 : rows_) * skip_span_ * C);
    conditioners_ = take((whole ? 1 : rows_) * mel_span_ * plan.mel_row);
    workspaces_ = take(call.threads * LayerWorkspace::floats(plan));
    kept_ = take(call.cached ? plan.height * kept_row_ : 0);
  }

  const VocoderPlan& plan_;
  i64 rows_ = 0, mel_span_ = 0, skip_span_ = 0, kept_row_ = 0;
  i64 skips_ = 0, conditioners_ = 0, workspaces_ = 0, kept_ = 0;
  std::vector<i64> rings_, spans_, residuals_, transformed_, kept_layers_;
};

}  // namespace namexp
