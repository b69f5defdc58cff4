// A HiFi-GAN generator as a stream: frames come in, the positions that they settle go through all stages.
//
// A stage takes some positions at a time from the one before, so that its signals stay in the cache, and
// hands on what it gave before it takes more. Every signal keeps a window of rows: what has come last and
// what its readers still need. Several threads share the rows of each operation.

#pragma once

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

#include "hifigan_operations.hpp"
#include "hifigan_team.hpp"
#include "tasks.hpp"

namespace namexp {

struct SignalPlan {  // field by field `Signal` of hifigan_plan.py
  i64 channels;       // of a row in memory; 0: the audio, which is written where it is wanted
  i64 capacity;       // rows
  i64 before, after;  // rows of zeros before position 0 and after the end
  i64 offset;         // floats into the memory of signals
};

struct StagePlan {
  i64 first, count;  // operations
  i64 chunk;         // positions of the input that it takes at once
};

struct Plan {
  i64 num_signals, num_operations, num_stages;
  i64 memory, workspace;  // floats
  const SignalPlan* signals;
  const Operation* operations;
  const StagePlan* stages;
};

struct Place {  // how far a signal has come
  i64 base, end;
};

struct Call {
  float* memory;  // of the signals
  Place* places;
  const float* mel;  // (bins, frames)
  i64 mel_stride, frames;
  i64 begins, ends;  // whether the first and the last frame are among them
  float* audio;
  i64 samples;  // written
};

struct FilterKind {  // a convolution with outputs that fill vectors, and with others
  void (*wide)(const Piece&);
  void (*narrow)(const Piece&);
  template <class Filter>
  static FilterKind of() { return {convolve<Filter, W>, convolve<Filter, NARROW>}; }
};

// Frames of one call on their way through all operations.
class Walk {
 public:
  Walk(const Plan& plan, const FilterKind* filters, const Call& call, Team& team, float* workspaces)
      : plan_(plan), filters_(filters), call_(call), team_(team), workspaces_(workspaces),
        places_(call.places), taken_(plan.num_stages), keep_(plan.num_signals),
        audio_begin_(places_[plan.num_signals - 1].end) {
    for (i64 i = 0; i < plan.num_signals; i++)
      windows_.push_back({call.memory + plan.signals[i].offset, places_[i].base, plan.signals[i].channels});
    for (i64 i = 0; i < plan.num_stages; i++) taken_[i] = places_[input_of(i)].end;
  }

  void run() {
    const i64 chunk = plan_.stages[0].chunk;
    for (i64 done = 0;; done += chunk) {
      const i64 count = std::min(chunk, call_.frames - done);
      const bool complete = call_.ends && done + count == call_.frames;
      take_frames(done, count, complete);
      advance(0, complete);
      if (done + count == call_.frames) break;
    }
  }

  i64 samples() const { return places_[plan_.num_signals - 1].end - audio_begin_; }

 private:
  i64 input_of(i64 stage) const { return plan_.operations[plan_.stages[stage].first].input; }

  // Frames become rows of the first signal.
  void take_frames(i64 first, i64 count, bool complete) {
    const i64 input = input_of(0);
    const Operation& reader = plan_.operations[0];
    slide(input, places_[reader.output].end - reader.lead);
    Place& place = places_[input];
    for (i64 c = 0; c < reader.in_channels; c++) {
      const float* bin = c < reader.inputs ? call_.mel + c * call_.mel_stride + first : nullptr;
      for (i64 t = 0; t < count; t++) windows_[input].row(place.end + t)[c] = bin ? bin[t] : 0.0f;
    }
    place.end += count;
    if (complete) end_in_zeros(input);
  }

  // A stage takes what the one before has given, chunk by chunk.
  void advance(i64 stage, bool complete) {
    const StagePlan& of = plan_.stages[stage];
    const i64 available = places_[input_of(stage)].end;
    while (taken_[stage] < available || complete) {
      taken_[stage] = std::min(available, taken_[stage] + of.chunk);
      const bool all = complete && taken_[stage] == available;
      give_up_rows(of);
      for (i64 i = of.first; i < of.first + of.count; i++) {
        const Operation& operation = plan_.operations[i];
        operate(operation, i == of.first ? taken_[stage] : places_[operation.input].end, all);
      }
      if (stage + 1 < plan_.num_stages) advance(stage + 1, all);
      if (all) break;
    }
  }

  // Rows that nobody reads any more make room for the stage's next ones.
  void give_up_rows(const StagePlan& stage) {
    for (i64 i = 0; i < plan_.num_signals; i++) keep_[i] = places_[i].end;
    const auto read = [&](i64 signal, i64 from) { keep_[signal] = std::min(keep_[signal], from); };
    for (i64 i = 0; i < plan_.num_operations; i++) {
      const Operation& of = plan_.operations[i];
      const i64 end = places_[of.output].end;
      if (of.kind == MEAN)
        for (i64 k = 0; k < of.taps; k++) read(of.listed[k], end);
      else
        read(of.input, (of.kind == UPSAMPLER ? end / of.outputs : end) - of.lead);
      if (of.kind == CONVOLUTION && of.residual >= 0) read(of.residual, end);
    }
    for (i64 i = stage.first; i < stage.first + stage.count; i++) {
      const i64 signal = plan_.operations[i].output;
      if (plan_.signals[signal].channels) slide(signal, keep_[signal]);
    }
  }

  void slide(i64 signal, i64 keep) {
    Window& window = windows_[signal];
    Place& place = places_[signal];
    if (keep <= place.base) return;
    std::memmove(window.data, window.row(keep), sizeof(float) * window.channels * (place.end - keep));
    place.base = window.base = keep;
  }

  void end_in_zeros(i64 signal) {
    const SignalPlan& of = plan_.signals[signal];
    if (of.channels)
      std::memset(windows_[signal].row(places_[signal].end), 0, sizeof(float) * of.channels * of.after);
  }

  // Everything that the input up to `in_end` settles; `all`: it ends there.
  void operate(const Operation& of, i64 in_end, bool all) {
    Place& out = places_[of.output];
    const SignalPlan& room = plan_.signals[of.output];
    const i64 settled = all ? in_end : std::max<i64>(0, in_end - of.lag);
    if (of.kind == CONVOLUTION) {
      const i64 grid = of.outputs * of.dilation, blocks = (settled + (all ? grid - 1 : 0)) / grid;
      assert(blocks * grid - out.base <= room.capacity);
      compute(of, out.end / grid * of.dilation, blocks * of.dilation);
      out.end = all ? in_end : blocks * grid;
    } else if (of.kind == UPSAMPLER) {
      compute(of, out.end / of.outputs, settled);
      out.end = settled * of.outputs;
    } else {
      i64 end = settled;
      if (of.kind == MEAN)
        for (i64 k = 0; k < of.taps; k++) end = std::min(end, places_[of.listed[k]].end);
      compute(of, out.end, end);
      out.end = end;
    }
    assert(!room.channels || out.end + (all ? room.after : 0) - out.base <= room.capacity);
    if (all) end_in_zeros(of.output);
  }

  // Rows [begin, end) in pieces of nearly one size, as many for each thread.
  void compute(const Operation& of, i64 begin, i64 end) {
    constexpr i64 unit = 4;  // rows; tiles have so many or twice or three times
    const i64 rows = end - begin, threads = team_.threads();
    if (rows <= 0) return;
    const i64 rounds = (rows + of.piece * threads - 1) / (of.piece * threads);
    const i64 size = (rows + rounds * threads * unit - 1) / (rounds * threads * unit) * unit;
    team_.run((rows + size - 1) / size, [&](i64 piece, i64 thread) {
      const i64 first = begin + piece * size;
      compute_piece(of, first, std::min(end, first + size), workspaces_ + thread * plan_.workspace);
    });
  }

  void compute_piece(const Operation& of, i64 begin, i64 end, float* workspace) {
    const bool wide = of.out_channels % W == 0;
    if (of.kind == MEAN) return (wide ? average<W> : average<NARROW>)(of, windows_.data(), begin, end);
    const Window& in = windows_[of.input];
    if (of.kind == LAST) return last(of, in, call_.audio + (begin - audio_begin_), begin, end);
    const Window residual = of.residual < 0 ? Window{} : windows_[of.residual];
    const Piece piece{of, in, residual, windows_[of.output], begin, end, workspace};
    if (of.kind == UPSAMPLER) return (wide ? upsample<W> : upsample<NARROW>)(piece);
    (wide ? filters_[of.filter].wide : filters_[of.filter].narrow)(piece);
  }

  const Plan& plan_;
  const FilterKind* const filters_;
  const Call& call_;
  Team& team_;
  float* const workspaces_;
  Place* const places_;
  std::vector<i64> taken_, keep_;  // positions that each stage has taken; that each signal must keep
  std::vector<Window> windows_;
  const i64 audio_begin_;
};

inline void begin_stream(const Plan& plan, const Call& call) {
  for (i64 i = 0; i < plan.num_signals; i++) {
    const SignalPlan& of = plan.signals[i];
    call.places[i] = {-of.before, 0};
    std::memset(call.memory + of.offset, 0, sizeof(float) * of.channels * of.before);
  }
}

// One call on several threads, each with a workspace.
inline void generate(const Plan& plan, const FilterKind* filters, Call& call, i64 threads,
                     float* workspaces) {
  if (call.begins) begin_stream(plan, call);
  Team team(threads);
  Walk walk(plan, filters, call, team, workspaces);
  walk.run();
  call.samples = walk.samples();
}

}  // namespace namexp

// The plain C interface of a library with `filters`.
#define NAMEXP_HIFIGAN(filters)                                                                             \
  using namexp::i64;                                                                                        \
  struct Items {                                                                                            \
    const namexp::Plan* plan;                                                                               \
    namexp::Call* calls;                                                                                    \
  };                                                                                                        \
  static void item_task(const void* shared, i64 item, char* workspace) {                                    \
    const Items& items = *static_cast<const Items*>(shared);                                                \
    namexp::Call& call = items.calls[item];                                                                 \
    call.memory = reinterpret_cast<float*>(workspace);                                                      \
    namexp::generate(*items.plan, filters, call, 1, call.memory + items.plan->memory);                  \
  }                                                                                                         \
  extern "C" {                                                                                              \
  EXPORTED void namexp_vectors(i64* sizes) {                                                                \
    sizes[0] = namexp::W, sizes[1] = namexp::NARROW, sizes[2] = namexp::ROW_VECTORS;                        \
  }                                                                                                         \
  EXPORTED void namexp_together(const namexp::Plan* plan, namexp::Call* call,                               \
                                i64 threads, float* workspaces) {                                           \
    namexp::generate(*plan, filters, *call, threads, workspaces);                                       \
  }                                                                                                         \
  EXPORTED void namexp_apart(const namexp::Plan* plan, namexp::Call* calls,                                 \
                             i64 count, i64 threads, char* memories) {                                      \
    const Items items{plan, calls};                                                                         \
    std::vector<namexp::Task> tasks;                                                                        \
    for (i64 i = 0; i < count; i++) tasks.push_back({item_task, &items, i});                                \
    namexp::run_tasks(tasks.data(), count, threads, memories,                                               \
                      static_cast<i64>(sizeof(float)) * (plan->memory + plan->workspace));                  \
  }                                                                                                         \
  }
