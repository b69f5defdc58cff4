// The kernels of layer arrays and of MRSTFT on drawn signals, their outputs and gradients in lines "name value".
// Built for two processors it should print the same up to rounding.

#include <cstdio>
#include <cstdlib>

#include "array_items.hpp"
#include "mrstft.hpp"

using namespace namexp;

struct ArrayShape {
  static constexpr int INPUTS = 2, C = 11, B = 6, D = 1, H = 5, OUTPUTS = 2;
  static constexpr int HEAD_KERNEL = 4, HEAD_DILATION = 1, HEAD_BIAS = 1;
  static constexpr int GROUPS_INPUT = 1, GROUPS_MIX = 1;
  static constexpr int LAYER1X1 = 1, GROUPS_LAYER1X1 = 1, HEAD1X1 = 1, GROUPS_HEAD1X1 = 1;
};
static const Kind kinds[] = {Layer<ArrayShape, 3, Single<LeakyReLU>>::kind(), Layer<ArrayShape, 3, Gated<Tanh, Sigmoid>>::kind(),
                             Layer<ArrayShape, 2, Blended<SiLU, Softsign>>::kind()};
NAMEXP_LIBRARY(ArrayShape)

using Floats = std::vector<float>;

static Floats drawn(i64 count, float level) {
  static std::uint32_t state = 1;
  Floats values(count);
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = level * (static_cast<float>(state >> 8) / 8388608.0f - 1.0f);
  }
  return values;
}

template <class T>
static void print(const char* name, const std::vector<T>& values) {
  for (T value : values) std::printf("%s %.9g\n", name, double(value));
}

static char* memory(i64 bytes) {
  void* const found = std::aligned_alloc(64, bytes / 64 * 64 + 64);
  if (!found) std::abort();
  return static_cast<char*>(found);
}

static void layer_array() {
  constexpr i64 items = 2, length = 3000, past = 2 + 10 + 7 + 3, rest = length - past;
  const LayerCall layers[] = {{0, 1, {0.01f}, {}}, {1, 5, {}, {}}, {2, 7, {}, {}}};
  Call call{};
  call.num_layers = 3, call.length = length, call.residual = 1, call.chunk = 768, call.layers = layers;
  const auto signal = [](Floats& values, i64 rows, i64 samples) { return Signal{values.data(), rows * samples, samples}; };
  i64 sizes[5];
  namexp_measure(&call, sizes);
  const Floats parameters = drawn(sizes[4], 0.4f);
  Floats packed(sizes[3]), x = drawn(items * 2 * length, 1.0f), condition = drawn(items * length, 1.0f);
  Floats out(items * 11 * rest), head(items * 2 * rest), g_out = drawn(out.size(), 1.0f), g_head = drawn(head.size(), 1.0f);
  Floats g_x(x.size()), g_condition(condition.size()), g_parameters(items * sizes[4]);
  call.parameters = parameters.data(), call.packed = packed.data(), call.g_parameters = g_parameters.data();
  call.x = signal(x, 2, length), call.g_x = signal(g_x, 2, length);
  call.condition = signal(condition, 1, length), call.g_condition = signal(g_condition, 1, length);
  call.out = signal(out, 11, rest), call.g_out = signal(g_out, 11, rest);
  call.head = signal(head, 2, rest), call.g_head = signal(g_head, 2, rest);
  call.kept_size = sizes[2], call.kept = memory(items * sizes[2]);
  namexp_pack(&call);
  for (const auto work : {&forward_task, &backward_task}) {
    const Task tasks[] = {{work, &call, 0}, {work, &call, 1}};
    const i64 size = std::max(sizes[0], sizes[1]) / 64 * 64 + 64;
    namexp_run(tasks, items, 2, memory(2 * size), size);
  }
  print("out", out), print("head", head), print("g_x", g_x), print("g_condition", g_condition);
  print("g_parameters", g_parameters);
}

static void mrstft() {
  using Loss = Mrstft<Resolution<64, 17, 63>, Resolution<256, 40, 130>>;
  constexpr i64 items = 3, submodels = 2, samples = 1199;
  const Floats target = drawn(items * samples, 0.1f);
  Floats prediction = drawn(items * submodels * samples, 0.03f), windows;
  for (i64 i = 0; i < items * submodels * samples; i++)
    prediction[i] += target[i / (submodels * samples) * samples + i % samples];
  for (int size : {63, 130})
    for (int i = 0; i < size; i++) windows.push_back(float(0.5 - 0.5 * std::cos(2 * 3.14159265358979323846 * i / size)));
  std::vector<double> sums(submodels * Loss::SUMS);
  Floats p(2 * items * submodels * Loss::row(samples)), q(p.size() / 2), gradient(prediction.size());
  Loss::sums(prediction.data(), target.data(), windows.data(), {items, submodels, samples}, 1e-8f, 2, sums.data(), p.data(),
             q.data());
  const Floats errors(2 * submodels, 1.0f), distances(submodels, 0.0f);
  Loss::gradient(errors.data(), distances.data(), p.data(), q.data(), {items, submodels, samples}, 2, gradient.data());
  print("sums", sums), print("gradient", gradient);
}

int main() {
  layer_array();
  mrstft();
}
