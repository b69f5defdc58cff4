// One item of a batch through a whole layer array: what each chunk of time does, and where memory is.

#pragma once

#include "layer_array.hpp"

namespace namexp {

// Where everything begins, on the clock of one call.
struct Clock {
  i64 shift;  // of x: its first sample
  i64 end;
  std::vector<i64> start;  // of the input of layer 0 ... L-1, and of the last residual
  i64 head_start, out_start;
  i64 most_past = 0;  // of a layer or the head

  Clock(const Call& call, const Kind* kinds, i64 head_past) {
    end = vectors_up(call.length);
    shift = end - call.length;
    i64 t = shift;
    for (i64 l = 0; l < call.num_layers; l++) {
      start.push_back(t);
      const i64 past = (kinds[call.layers[l].kind].kernel_size - 1) * call.layers[l].dilation;
      t += past;
      most_past = std::max(most_past, past);
    }
    start.push_back(t);
    head_start = t;
    out_start = t + head_past;
    most_past = std::max(most_past, head_past);
  }

  i64 from(i64 l) const { return vectors_down(start[l]); }
};

template <class Shape>
struct Array : Shape {
  using Shape::C;
  using Shape::D;
  using Shape::H;
  static constexpr int IN = Shape::INPUTS, O = Shape::OUTPUTS, KH = Shape::HEAD_KERNEL;
  static constexpr i64 HEAD_PAST = static_cast<i64>(KH - 1) * Shape::HEAD_DILATION;
  static constexpr int HEAD_SUMS = O * (H * KH + 1), HEAD_WEIGHTS = O * H * KH;
  static constexpr int HEAD_PARAMETERS = HEAD_WEIGHTS + (Shape::HEAD_BIAS ? O : 0);

  // --- parameters in the order of use ---------------------------------------------------------------

  struct Places {  // of every layer's parameters, packed weights and sums
    std::vector<i64> file, packed, sums;
    Places(const Call& call, const Kind* kinds) {
      i64 f = C * IN, p = 2 * C * IN + 2 * HEAD_WEIGHTS, s = C * IN + HEAD_SUMS;
      for (i64 l = 0; l <= call.num_layers; l++) {
        file.push_back(f), packed.push_back(p), sums.push_back(s);
        if (l == call.num_layers) break;
        const Kind& kind = kinds[call.layers[l].kind];
        f += kind.num_parameters, p += kind.num_packed, s += kind.num_sums;
      }
    }
    i64 num_parameters() const { return file.back() + HEAD_PARAMETERS; }
  };

  static constexpr i64 P_RECHANNEL = 0, P_RECHANNEL_T = C * IN;
  static constexpr i64 P_HEAD = 2 * C * IN, P_HEAD_T = P_HEAD + HEAD_WEIGHTS;

  static void pack(const Call& call, const Kind* kinds) {
    const Places places(call, kinds);
    const float* const rechannel = call.parameters;
    const float* const head = call.parameters + places.file.back();
    pack_weights<C, IN, 1>(call.packed + P_RECHANNEL, [&](int o, int i, int) { return rechannel[o * IN + i]; });
    pack_weights<IN, C, 1>(call.packed + P_RECHANNEL_T, [&](int o, int i, int) { return rechannel[i * IN + o]; });
    const auto head_at = [&](int o, int h, int k) { return head[(o * H + h) * KH + k]; };
    pack_weights<O, H, KH>(call.packed + P_HEAD, head_at);
    pack_weights<H, O, KH>(call.packed + P_HEAD_T, [&](int h, int o, int k) { return head_at(o, h, k); });
    for (i64 l = 0; l < call.num_layers; l++)
      kinds[call.layers[l].kind].pack(call.parameters + places.file[l], call.packed + places.packed[l]);
  }

  // --- memory ---------------------------------------------------------------------------------------

  // Rows for times [-W, length + after), without rows that compete for the same places of a cache.
  static Rows take_rows(Pieces& pieces, i64 count, i64 length, i64 after) {
    i64 stride = W + length + vectors_up(after) + W;
    stride += (stride * 4 / 64 % 2 == 0) ? 16 : 0;
    return {pieces.take<float>(count * stride) + W, stride};
  }

  static Rows moved(Rows rows, i64 t) { return {rows.origin - t, rows.stride}; }

  struct Forward {  // for one chunk, and what the layers remember of the chunks before
    Rows condition, ping, pong, head, out;
    i64 before;  // samples before the chunk
    std::vector<Rows> history;
    std::vector<i64> remembered;
    float* scratch;

    Forward(Pieces& pieces, const Call& call, const Kind* kinds, const Clock& clock) {
      before = vectors_up(clock.most_past) + W;
      condition = take_rows(pieces, D, call.chunk, 0);
      ping = take_rows(pieces, std::max(C, IN), before + call.chunk, 0);
      pong = take_rows(pieces, std::max(C, IN), before + call.chunk, 0);
      head = take_rows(pieces, H, before + call.chunk, 0);
      out = take_rows(pieces, O, call.chunk, 0);
      for (i64 l = 0; l <= call.num_layers; l++) {
        const bool is_head = l == call.num_layers;
        const i64 past = is_head ? HEAD_PAST : clock.start[l + 1] - clock.start[l];
        remembered.push_back(vectors_up(past) + W);
        history.push_back(take_rows(pieces, is_head ? H : C, remembered.back(), 0));
      }
      scratch = pieces.take<float>(max_mid(call, kinds) * 2 * BLOCK);
    }

    // Put what layer l remembers before the chunk that begins at `begin`, then remember its end.
    void recall(i64 l, Rows rows, i64 count, i64 begin) {
      const i64 n = remembered[l];
      for (i64 r = 0; r < count; r++)
        std::memcpy(rows.at(r, begin - n), history[l].at(r, 0), sizeof(float) * n);
    }
    void remember(i64 l, Rows rows, i64 count, i64 end) {
      const i64 n = remembered[l];
      for (i64 r = 0; r < count; r++)
        std::memcpy(history[l].at(r, 0), rows.at(r, end - n), sizeof(float) * n);
    }
  };

  struct Kept {  // of a whole item, from its forward to its backward
    Rows head;
    std::vector<Rows> values;

    Kept(Pieces& pieces, const Call& call, const Kind* kinds, const Clock& clock) {
      head = take_rows(pieces, H, clock.end, 0);
      for (i64 l = 0; l < call.num_layers; l++) {
        const i64 first = std::min(clock.end, clock.from(l + 1));
        values.push_back(moved(take_rows(pieces, kinds[call.layers[l].kind].mid, clock.end - first, 0), first));
      }
    }
  };

  struct Backward {  // of a whole item; what begins with g, but for g_out, of a chunk
    Rows x, condition, g_out, g_head, gx, gz, g_condition;
    i64 before;                // samples before the chunk
    std::vector<Rows> inputs;  // of the layers
    std::vector<Rows> future;  // of gz by layer: the beginning of the chunk that was computed before
    std::vector<i64> needed;   // of it, samples
    V* sums;
    i64 num_sums;
    float* scratch;

    Backward(Pieces& pieces, const Call& call, const Kind* kinds, const Clock& clock) {
      x = take_rows(pieces, IN, clock.end, 0);
      condition = take_rows(pieces, D, clock.end, 0);
      g_out = take_rows(pieces, O, clock.end, HEAD_PAST);
      g_head = take_rows(pieces, H, call.chunk, 0);
      gx = take_rows(pieces, C, call.chunk, 0);
      g_condition = take_rows(pieces, std::max(D, IN), call.chunk, 0);
      before = vectors_up(clock.most_past) + W;
      gz = take_rows(pieces, max_mid(call, kinds), call.chunk, clock.most_past + W);
      for (i64 l = 0; l < call.num_layers; l++) {
        inputs.push_back(take_rows(pieces, C, before + call.chunk, 0));
        needed.push_back(vectors_up(clock.start[l + 1] - clock.start[l]) + W);
        future.push_back(take_rows(pieces, kinds[call.layers[l].kind].mid, needed.back(), 0));
      }
      num_sums = Places(call, kinds).sums.back();
      sums = pieces.take<V>(num_sums);
      scratch = pieces.take<float>(max_mid(call, kinds) * 2 * BLOCK);
    }

    Rows input(i64 l, i64 chunk) const { return moved(inputs[l], chunk - before); }
  };

  static i64 max_mid(const Call& call, const Kind* kinds) {
    i64 most = 0;
    for (i64 l = 0; l < call.num_layers; l++) most = std::max(most, kinds[call.layers[l].kind].mid);
    return most;
  }

  // --- the parts around the layers --------------------------------------------------------------------

  static void rechannel(const Call& call, Rows x, Rows out, i64 begin, i64 end) {
    for_tiles<C>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      clear(tile);
      accumulate<IN, 1>(tile, x, t, 0, 0, call.packed + P_RECHANNEL + first * IN);
      store_tile(tile, out, first, t);
    });
  }

  static void head_convolution(const Call& call, const Places& places, Rows head, Rows out, i64 begin, i64 end) {
    const float* const bias = call.parameters + places.file.back() + HEAD_WEIGHTS;
    for_tiles<O>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      clear(tile);
      if constexpr (Shape::HEAD_BIAS) add_each(tile, bias + first);
      accumulate<H, KH>(tile, head, t, -HEAD_PAST, Shape::HEAD_DILATION, call.packed + P_HEAD + first * H * KH);
      store_tile(tile, out, first, t);
    });
  }

  static void begin_head(const Call& call, const Clock& clock, i64 item, Rows head, i64 begin, i64 end) {
    if (call.head_input)
      read_signal(head, call.head_input, item, H, clock.head_start, begin, end);
    else
      fill_zero(head, H, begin, end);
  }

  // --- forward ----------------------------------------------------------------------------------------

  static void forward_item(const Call& call, const Kind* kinds, i64 item, char* workspace) {
    const Clock clock(call, kinds, HEAD_PAST);
    const Places places(call, kinds);
    Pieces own(call.kept + item * call.kept_size);
    const Kept kept(own, call, kinds, clock);
    run_chunks(call, kinds, clock, places, call.kept ? &kept : nullptr, item, workspace);
    if (call.kept) finish_streaming();
  }

  static void run_chunks(const Call& call, const Kind* kinds, const Clock& clock, const Places& places,
                         const Kept* kept, i64 item, char* workspace) {
    Pieces pieces(workspace);
    Forward f(pieces, call, kinds, clock);
    for (i64 l = 0; l <= call.num_layers; l++)
      fill_zero(f.history[l], l == call.num_layers ? H : C, 0, f.remembered[l]);
    if (kept) clear_before_head(clock, kept->head);
    for (i64 begin = 0; begin < clock.end; begin += call.chunk)
      forward_chunk(call, kinds, clock, places, f, kept, item, begin, std::min(clock.end, begin + call.chunk));
  }

  static void clear_before_head(const Clock& clock, Rows head) {
    const i64 from = vectors_down(clock.head_start);
    fill_zero(head, H, from - W, from);
  }

  static void forward_chunk(const Call& call, const Kind* kinds, const Clock& clock, const Places& places,
                            Forward& f, const Kept* kept, i64 item, i64 begin, i64 end) {
    const Rows condition = moved(f.condition, begin), head = kept ? kept->head : moved(f.head, begin - f.before);
    Rows x = moved(f.ping, begin - f.before), next = moved(f.pong, begin - f.before);
    read_signal(next, call.x, item, IN, clock.shift, begin, end);
    read_signal(condition, call.condition, item, D, clock.shift, begin, end);
    rechannel(call, next, x, begin, end);
    if (!kept) f.recall(call.num_layers, head, H, begin);
    begin_head(call, clock, item, head, begin, end);
    for (i64 l = 0; l < call.num_layers; l++) {
      fill_zero(x, C, std::max(begin, clock.from(l) - W), std::min(end, clock.from(l)));
      f.recall(l, x, C, begin);
      f.remember(l, x, C, end);
      const LayerCall& layer = call.layers[l];
      const bool residual = l + 1 < call.num_layers || call.residual;
      const LayerSignals signals{x, next, condition, head, kept ? kept->values[l] : Rows{}, f.scratch,
                                 layer.dilation, vectors_down(clock.head_start), residual, kept != nullptr,
                                 call.kept != nullptr};
      const i64 from = std::max(begin, clock.from(l + 1));
      if (from < end) kinds[layer.kind].forward(layer, weights(call, places, l), signals, from, end);
      std::swap(x, next);
    }
    if (!kept) f.remember(call.num_layers, head, H, end);
    if (call.head) give_out(call, clock, places, f, head, x, item, begin, end);
  }

  static void give_out(const Call& call, const Clock& clock, const Places& places, const Forward& f, Rows head,
                       Rows x, i64 item, i64 begin, i64 end) {
    const Rows out = moved(f.out, begin);
    const i64 from = std::max(begin, vectors_down(clock.out_start));
    if (from < end) head_convolution(call, places, head, out, from, end);
    write_signal(call.head, item, O, clock.out_start, out, begin, end);
    if (call.residual) write_signal(call.out, item, C, clock.out_start, x, begin, end);
  }

  static Weights weights(const Call& call, const Places& places, i64 l) {
    return {call.parameters + places.file[l], call.packed + places.packed[l]};
  }

  // --- backward ---------------------------------------------------------------------------------------

  // The inputs of all layers that the chunk [chunk, end) needs, from what was kept of the activations. The
  // chunk after it needed the last of them before.
  static void bring_back(const Call& call, const Kind* kinds, const Clock& clock, const Places& places,
                         const Kept& kept, const Backward& b, i64 chunk, i64 end) {
    const i64 begin = chunk - b.before, stop = end == clock.end ? end : end - b.before;
    if (stop < end)
      for (const Rows& x : b.inputs)
        for (i64 c = 0; c < C; c++) std::memmove(x.at(c, end - chunk), x.at(c, 0), sizeof(float) * b.before);
    if (stop <= 0) return;
    rechannel(call, b.x, b.input(0, chunk), std::max<i64>(0, begin), stop);
    for (i64 l = 0; l < call.num_layers; l++) {
      const Rows x = b.input(l, chunk);
      fill_zero(x, C, std::max(begin, clock.from(l) - W), std::min(stop, clock.from(l)));
      if (l + 1 == call.num_layers) break;
      const LayerCall& layer = call.layers[l];
      const LayerSignals signals{x, b.input(l + 1, chunk), b.condition, kept.head, kept.values[l], b.scratch,
                                 layer.dilation, vectors_down(clock.head_start), true, true, false};
      const i64 from = std::max(begin, clock.from(l + 1));
      if (from < stop) kinds[layer.kind].rebuild(layer, weights(call, places, l), signals, from, stop);
    }
  }

  static void backward_item(const Call& call, const Kind* kinds, i64 item, char* workspace) {
    const Clock clock(call, kinds, HEAD_PAST);
    const Places places(call, kinds);
    Pieces pieces(workspace);
    const Backward b(pieces, call, kinds, clock);
    Pieces own(call.kept ? call.kept + item * call.kept_size : workspace + pieces.used());
    const Kept kept(own, call, kinds, clock);
    if (!call.kept) run_chunks(call, kinds, clock, places, &kept, item, workspace + pieces.used() + own.used());
    read_signal(b.x, call.x, item, IN, clock.shift, 0, clock.end);
    read_signal(b.condition, call.condition, item, D, clock.shift, 0, clock.end);
    std::memset(b.sums, 0, sizeof(V) * b.num_sums);
    for (i64 l = 0; l < call.num_layers; l++)
      fill_zero(b.future[l], kinds[call.layers[l].kind].mid, 0, b.needed[l]);
    if (call.g_head)
      read_signal(b.g_out, call.g_head, item, O, clock.out_start, 0, clock.end);
    else
      fill_zero(b.g_out, O, 0, clock.end);
    fill_zero(b.g_out, O, clock.end, clock.end + vectors_up(HEAD_PAST) + W);
    for (i64 begin = (clock.end - 1) / call.chunk * call.chunk; begin >= 0; begin -= call.chunk)
      backward_chunk(call, kinds, clock, places, kept, b, item, begin, std::min(clock.end, begin + call.chunk));
    finish(call, kinds, places, b, item);
  }

  static void backward_chunk(const Call& call, const Kind* kinds, const Clock& clock, const Places& places,
                             const Kept& kept, const Backward& b, i64 item, i64 begin, i64 end) {
    const Rows g_head = moved(b.g_head, begin), gx = moved(b.gx, begin), gz = moved(b.gz, begin);
    const Rows g_condition = moved(b.g_condition, begin);
    bring_back(call, kinds, clock, places, kept, b, begin, end);
    backward_head(call, clock, kept, b, g_head, begin, end);
    if (call.g_head_input) write_signal(call.g_head_input, item, H, clock.head_start, g_head, begin, end);
    if (call.g_out)
      read_signal(gx, call.g_out, item, C, clock.out_start, begin, end);
    else
      fill_zero(gx, C, begin, end);
    if (call.g_condition) fill_zero(g_condition, D, begin, end);
    for (i64 l = call.num_layers - 1; l >= 0; l--) {
      const LayerCall& layer = call.layers[l];
      const i64 gx_from = std::max(begin, clock.from(l));
      if (gx_from >= end) continue;
      const bool residual = l + 1 < call.num_layers || call.residual;
      const LayerSignals signals{b.input(l, begin), gx, b.condition, g_head, kept.values[l], b.scratch,
                                 layer.dilation, vectors_down(clock.head_start), residual, true, false};
      const LayerGradient gradient{gx, g_condition, gz, b.sums + places.sums[l], bool(call.g_condition),
                                   call.chunk + b.before};
      const i64 from = std::min(end, std::max(begin, clock.from(l + 1)));
      const Kind& kind = kinds[layer.kind];
      copy_rows(moved(gz, -end), b.future[l], kind.mid, 0, b.needed[l]);
      kind.backward(layer, weights(call, places, l), signals, gradient, from, end, gx_from);
      copy_rows(b.future[l], moved(gz, -begin), kind.mid, 0, b.needed[l]);
    }
    backward_rechannel(b, gx, begin, end);
    if (call.g_condition) write_signal(call.g_condition, item, D, clock.shift, g_condition, begin, end);
    if (call.g_x) {
      for_tiles<IN>(begin, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
        V tile[outputs][vectors];
        clear(tile);
        accumulate<C, 1>(tile, gx, t, 0, 0, call.packed + P_RECHANNEL_T + first * C);
        store_tile(tile, g_condition, first, t);  // written out by now
      });
      write_signal(call.g_x, item, IN, clock.shift, g_condition, begin, end);
    }
  }

  static void backward_head(const Call& call, const Clock& clock, const Kept& kept, const Backward& b, Rows g_head,
                            i64 begin, i64 end) {
    const i64 from = std::min(end, std::max(begin, vectors_down(clock.head_start)));
    fill_zero(g_head, H, begin, from);
    for_tiles<H>(from, end, [&](auto first, auto outputs, auto vectors, i64 t) INLINED {
      V tile[outputs][vectors];
      clear(tile);
      accumulate<O, KH>(tile, b.g_out, t, HEAD_PAST, -Shape::HEAD_DILATION,
                        call.packed + P_HEAD_T + first * O * KH);
      store_tile(tile, g_head, first, t);
    });
    for_blocks(std::max(begin, vectors_down(clock.out_start)), end, [&](i64 t, i64 stop) {
      const float* rows[H * KH + 1];
      for (int h = 0; h < H; h++)
        for (int i = 0; i < KH; i++) rows[h * KH + i] = kept.head.at(h, t - (KH - 1 - i) * Shape::HEAD_DILATION);
      rows[H * KH] = ones();
      outer<O, H * KH + 1>(b.g_out, t, rows, stop - t, b.sums + C * IN);
    });
  }

  static void backward_rechannel(const Backward& b, Rows gx, i64 begin, i64 end) {
    for_blocks(begin, end, [&](i64 t, i64 stop) {
      const float* rows[IN];
      for (int i = 0; i < IN; i++) rows[i] = b.x.at(i, t);
      outer<C, IN>(gx, t, rows, stop - t, b.sums);
    });
  }

  static void finish(const Call& call, const Kind* kinds, const Places& places, const Backward& b, i64 item) {
    float* const gradient = call.g_parameters + item * places.num_parameters();
    for (int i = 0; i < C * IN; i++) gradient[i] = sum(b.sums[i]);
    for (i64 l = 0; l < call.num_layers; l++)
      kinds[call.layers[l].kind].finish(b.sums + places.sums[l], gradient + places.file[l]);
    float* const head = gradient + places.file.back();
    constexpr int width = H * KH + 1;
    for (int o = 0; o < O; o++) {
      for (int i = 0; i < H * KH; i++) head[o * H * KH + i] = sum(b.sums[C * IN + o * width + i]);
      if constexpr (Shape::HEAD_BIAS) head[HEAD_WEIGHTS + o] = sum(b.sums[C * IN + o * width + H * KH]);
    }
  }

  static void measure(const Call& call, const Kind* kinds, i64* sizes) {
    const Clock clock(call, kinds, HEAD_PAST);
    const Places places(call, kinds);
    Pieces forward(nullptr), backward(nullptr), kept(nullptr);
    Forward(forward, call, kinds, clock);
    Backward(backward, call, kinds, clock);
    Kept(kept, call, kinds, clock);
    sizes[0] = forward.used();
    sizes[1] = backward.used();
    sizes[2] = kept.used();
    sizes[3] = places.packed.back();
    sizes[4] = places.num_parameters();
  }
};

}  // namespace namexp

// The plain C interface of a library with the kinds of layers `kinds` of an array of shape `Shape`.
#define NAMEXP_LIBRARY(Shape)                                                                            \
  using LibraryArray = namexp::Array<Shape>;                                                             \
  static void forward_task(const void* call, namexp::i64 item, char* workspace) {                        \
    LibraryArray::forward_item(*static_cast<const namexp::Call*>(call), kinds, item, workspace);         \
  }                                                                                                      \
  static void backward_task(const void* call, namexp::i64 item, char* workspace) {                       \
    LibraryArray::backward_item(*static_cast<const namexp::Call*>(call), kinds, item, workspace);        \
  }                                                                                                      \
  extern "C" {                                                                                           \
  EXPORTED void namexp_measure(const namexp::Call* call, namexp::i64* s) {                               \
    LibraryArray::measure(*call, kinds, s);                                                              \
  }                                                                                                      \
  EXPORTED void namexp_pack(const namexp::Call* call) {                                                  \
    LibraryArray::pack(*call, kinds);                                                                    \
  }                                                                                                      \
  EXPORTED void* namexp_forward() {                                                                      \
    return reinterpret_cast<void*>(&forward_task);                                                       \
  }                                                                                                      \
  EXPORTED void* namexp_backward() {                                                                     \
    return reinterpret_cast<void*>(&backward_task);                                                      \
  }                                                                                                      \
  EXPORTED void namexp_run(const namexp::Task* tasks, namexp::i64 count,                                 \
                           namexp::i64 threads, char* workspaces,                                        \
                           namexp::i64 workspace_size) {                                                 \
    namexp::run_tasks(tasks, count, threads, workspaces, workspace_size);                                \
  }                                                                                                      \
  }
