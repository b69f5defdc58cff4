// What a compiled flow vocoder is told, and the signals that its estimators keep.
//
// Audio is a picture of rows; a column is a position, and signals hold the channels of one column after the
// other. Letters: C channels of a row in memory, M mels, L layers.

#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "hifigan_filters.hpp"

namespace namexp {

// Field by field the structures of waveflow_plan.py.

struct FlowLayer {
  const float* filtered;      // [product][tap in height][block of outputs][input][output]: 2C outputs
  const float* direct;        // [tap in width][tap in height][block][input][output]; null: never used
  const float* conditioning;  // [block][mel][output]
  const float* mixing;        // [block][input][output]: C of the residual, C of the skip; the last: skip alone
  const float* bias;          // 2C, of all that comes before the gates
  const float* mixing_bias;   // as many as outputs
  const float* gains;         // C, of what is added to the residual
};

struct FlowPlan {
  const FlowLayer* layers;
  const i64* rows;  // where each of its rows stands in the picture of the audio
  const float* front_weight;
  const float* front_bias;
  const float* projection;  // [log s, t][C]
  const float* projection_bias;
};

struct VocoderPlan {
  i64 num_flows, num_layers, height, keep_first, channels, mels, mel_row;
  const i64* heights;  // dilations of the layers
  const i64* widths;
  float kept;  // part of the residual that stays
  const FlowPlan* flows;
  const float* upsampling[2];  // [3 mels][32 samples], bias
};

struct VocoderCall {
  float* picture;    // (height, columns): noise, then audio
  const float* mel;  // (frames, mel_stride), `W` zeros before and after the bins of a frame
  i64 mel_stride, frames, columns;
  i64 chunk;  // columns at a time; 0: all
  i64 cached;  // whether conditioning is kept from flow to flow
  i64 threads;
  float* memory;
};

constexpr i64 GRID_OUTPUTS = 4, GRID_PRODUCTS = 6;

// How a layer's outputs are computed. Column a * 4d + j * d + q, j < 4, is output j of grid row a * d + q of
// minimal filtering. Where the picture ends within a block, a phase q that has one or two columns left is
// computed directly, without the taps that lie outside: runs of columns beside each other.
struct Grid {
  struct Run {
    i64 begin, end;
    bool left, right;  // whether these taps are inside
  };
  i64 rows = 0;  // up to the end of the picture
  std::vector<Run> runs;

  Grid(i64 columns, i64 dilation, bool direct) {
    const i64 longer = columns % dilation;  // phases that have a column more
    const i64 count[2] = {columns / dilation + 1, columns / dilation};
    const i64 first[2] = {0, longer}, last[2] = {longer, dilation};
    i64 blocks[2];
    for (int k = 0; k < 2; k++) {
      const i64 rest = count[k] % GRID_OUTPUTS;
      const bool runs_on = direct && (rest == 1 || rest == 2);
      blocks[k] = count[k] / GRID_OUTPUTS + (rest > 0 && !runs_on);
      if (!runs_on || first[k] == last[k]) continue;
      for (i64 i = 0; i < rest; i++) {
        const i64 at = count[k] - rest + i;
        runs.push_back({at * dilation + first[k], at * dilation + last[k], at > 0, i + 1 < rest});
      }
    }
    rows = blocks[1] * dilation + (blocks[0] > blocks[1] ? longer : 0);
  }
};

struct Columns {  // of a signal that are in memory
  float* data;
  i64 base, channels;
  INLINE float* at(i64 column) const { return data + (column - base) * channels; }
};

}  // namespace namexp
