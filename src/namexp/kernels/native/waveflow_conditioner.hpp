// The conditioner of one row: mel frames through two transposed convolutions, only where they are asked for.

#pragma once

#include "waveflow_plan.hpp"

namespace namexp {

class Conditioner {
 public:
  Conditioner(const VocoderPlan& plan, const VocoderCall& call)
      : plan_(plan), call_(call), stride_(plan.mel_row + 2 * W), between_(SLOTS * stride_) {
    std::fill(std::begin(held_), std::end(held_), -1);
  }

  // All mels of the samples of `row` in columns [begin, end).
  void fill(i64 row, i64 begin, i64 end, const Columns& to) {
    for (i64 column = begin; column < end; column++) {
      const i64 sample = column * plan_.height + row, at = (sample + RATE / 2) / RATE;
      const float* early = between(at - 1);
      const float* late = between(at);
      transposed(plan_.upsampling[1], early, late, (sample + RATE / 2) % RATE, to.at(column));
    }
  }

 private:
  static constexpr i64 RATE = 16, KERNEL = 2 * RATE, MELS = 3;
  static constexpr i64 SLOTS = 4;
  static constexpr float SLOPE = 0.4f;

  // Output m at `phase`, from two inputs that are null where there are none. Weight row k is that of m + 1 - k.
  void transposed(const float* weights, const float* early, const float* late, i64 phase, float* to) const {
    const V bias = splat(weights[MELS * KERNEL]), slope = splat(SLOPE);
    for (i64 m = 0; m < plan_.mel_row; m += W) {
      V sum = bias;
#pragma GCC unroll 3
      for (i64 k = 0; k < MELS; k++) {
        const float* of = weights + k * KERNEL + phase;
        if (early) sum = fused(splat(of[RATE]), load(early + m + 1 - k), sum);
        if (late) sum = fused(splat(of[0]), load(late + m + 1 - k), sum);
      }
      store(to + m, leaky(sum, slope));
    }
  }

  const float* frame(i64 at) const {
    return at < 0 || at >= call_.frames ? nullptr : call_.mel + at * call_.mel_stride + W;
  }

  // Between the two convolutions; null outside of the clip.
  const float* between(i64 at) {
    if (at < 0 || at >= call_.frames * RATE) return nullptr;
    float* const found = between_.data() + at % SLOTS * stride_ + W;
    if (held_[at % SLOTS] != at) {
      held_[at % SLOTS] = at;
      const i64 late = (at + RATE / 2) / RATE;
      transposed(plan_.upsampling[0], frame(late - 1), frame(late), (at + RATE / 2) % RATE, found);
      std::fill(found + plan_.mels, found + plan_.mel_row, 0.0f);  // beyond the bins there is nothing
    }
    return found;
  }

  const VocoderPlan& plan_;
  const VocoderCall& call_;
  const i64 stride_;
  std::vector<float> between_;
  i64 held_[SLOTS];
};

}  // namespace namexp
