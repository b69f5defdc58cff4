"""A loss that is recorded and replayed: equal to the ordinary one, and seldom recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from namexp.kernels import fallback
from namexp.kernels.graphed import MAX_GRAPHS, WARM_UPS, GraphedLoss, recorder_on
from tests.recorder import Tape


class _Net(nn.Module):
    """Two parameters that count, one between them that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.idle = nn.Parameter(torch.randn(4))
        self.bias = nn.Parameter(torch.randn(1))

    waits = False

    def compute(self, parameters: Mapping[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.tanh(x[:, :3] @ parameters["weight"] + parameters["bias"])  # (B, 2)
        values = ((rows - y) ** 2).mean(dim=0)[:, None]  # (2, 1)
        if self.waits:
            values.sum().item()
        return (2.0 * values).sum(), values


def _graphed(net: _Net, recorder: Tape) -> GraphedLoss:
    return GraphedLoss(net.compute, dict(net.named_parameters()), recorder)


def _batch(size: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(size, 5), torch.randn(size, 1)


def _known(result: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    assert result is not None
    return result


def _gradients(net: _Net) -> list[Tensor | None]:
    return [p.grad for p in net.parameters()]


def test_every_step_is_that_of_the_ordinary_loss_while_the_weights_move() -> None:
    net, recorder = _Net(), Tape()
    graphed = _graphed(net, recorder)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        x, y = _batch()
        optimizer.zero_grad()
        expected, expected_values = net.compute(dict(net.named_parameters()), x, y)
        expected.backward()
        expected_gradients = _gradients(net)
        optimizer.zero_grad()
        loss, values = _known(graphed(x, y))
        assert torch.equal(loss.detach(), expected.detach())
        assert torch.equal(values, expected_values.detach())
        assert not values.requires_grad
        loss.backward()
        weight, idle, bias = _gradients(net)
        assert idle is None
        assert torch.equal(weight, expected_gradients[0])
        assert torch.equal(bias, expected_gradients[2])
        optimizer.step()
        losses.append(loss)
    assert (recorder.warm_ups, recorder.recordings, recorder.replays) == (WARM_UPS, 1, 8 - WARM_UPS)
    assert len({loss.item() for loss in losses}) == 8  # a replay leaves the losses before it alone


@pytest.mark.parametrize("calls", [1, WARM_UPS + 1])
def test_what_is_done_with_the_loss_reaches_the_gradients(calls: int) -> None:
    net = _Net()
    graphed = _graphed(net, Tape())
    x, y = _batch()
    for _ in range(calls):
        loss, _ = _known(graphed(x, y))
    loss.backward()
    once = [g.clone() for g in _gradients(net) if g is not None]
    (-3 * _known(graphed(x, y))[0] + 7).backward()  # added to what is there
    for gradient, g in zip((g for g in _gradients(net) if g is not None), once, strict=True):
        torch.testing.assert_close(gradient, -2 * g)


def test_the_gradients_are_handed_over_in_one_piece() -> None:
    # a copy for each parameter would be a launch for each
    net = _Net()
    graphed = _graphed(net, Tape())
    for _ in range(WARM_UPS + 1):
        net.zero_grad()
        _known(graphed(*_batch()))[0].backward()
        weight, _, bias = _gradients(net)
        assert weight is not None
        assert bias is not None
        assert weight.untyped_storage().data_ptr() == bias.untyped_storage().data_ptr()
        assert weight.is_contiguous()


def test_a_graph_for_every_shape_and_variant_is_made_once() -> None:
    net, recorder = _Net(), Tape()
    graphed = _graphed(net, recorder)
    kinds: list[tuple[int, Any]] = [(4, 0), (3, 0), (4, 1), (4, "wide")]
    for _ in range(WARM_UPS + 2):
        for size, variant in kinds:
            x, y = _batch(size)
            loss, _ = _known(graphed(x, y, variant=variant))
            assert loss.item() == net.compute(dict(net.named_parameters()), x, y)[0].item()
    assert graphed.num_graphs == recorder.recordings == len(kinds)
    assert recorder.warm_ups == WARM_UPS * len(kinds)
    assert recorder.replays == 2 * len(kinds)


def test_more_kinds_than_there_is_room_for_are_left_to_the_caller() -> None:
    graphed = _graphed(_Net(), Tape())
    x, y = _batch()
    for variant in range(MAX_GRAPHS):
        assert graphed(x, y, variant=variant) is not None
    assert graphed(x, y, variant=MAX_GRAPHS) is None
    assert graphed(x, y, variant=0) is not None


def test_without_gradients_there_is_nothing_to_record() -> None:
    recorder = Tape()
    graphed = _graphed(_Net(), recorder)
    with torch.no_grad():
        assert graphed(*_batch()) is None
    assert recorder.warm_ups == 0


def test_what_cannot_be_recorded_is_told_once_and_left_to_the_caller(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallback._tell.cache_clear()
    net, recorder = _Net(), Tape()
    net.waits = True
    graphed = _graphed(net, recorder)
    for _ in range(WARM_UPS):
        assert graphed(*_batch()) is not None
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    x, y = _batch()
    state = torch.get_rng_state()
    with caplog.at_level(logging.WARNING):
        assert [graphed(x, y) for _ in range(3)] == [None] * 3
        assert graphed(x, y, variant=1) is None
    assert recorder.recordings == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith(
        "no CUDA graph can be made of it (operation not permitted when stream is capturing)"
    )
    assert caplog.messages[0].startswith("notice: the training step runs on torch's own operations")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())
    assert _gradients(net) == [None] * 3


def test_a_gradient_that_was_overwritten_is_never_handed_out() -> None:
    graphed = _graphed(_Net(), Tape())
    x, y = _batch()
    results = [_known(graphed(x, y))[0] for _ in range(WARM_UPS + 2)]
    results[-1].backward()
    with pytest.raises(RuntimeError, match="another batch of its kind has been computed since"):
        results[-2].backward()
    results[0].backward()  # a warm-up keeps its own


def test_weights_that_are_loaded_in_place_are_seen_by_the_graph() -> None:
    net, other, recorder = _Net(), _Net(), Tape()
    graphed = _graphed(net, recorder)
    x, y = _batch()
    for _ in range(WARM_UPS + 1):
        graphed(x, y)
    net.load_state_dict(other.state_dict())
    loss, _ = _known(graphed(x, y))
    assert loss.item() == other.compute(dict(other.named_parameters()), x, y)[0].item()
    assert recorder.recordings == 1


def test_weights_that_have_moved_are_recorded_anew() -> None:
    net, recorder = _Net(), Tape()
    graphed = _graphed(net, recorder)
    x, y = _batch()
    for _ in range(WARM_UPS + 1):
        graphed(x, y)
    with torch.no_grad():
        net.weight.data = net.weight * 2
    for calls in range(WARM_UPS + 1):
        assert graphed.num_graphs == (1 if calls == 0 else 0)
        loss, _ = _known(graphed(x, y))
        assert loss.item() == net.compute(dict(net.named_parameters()), x, y)[0].item()
    assert recorder.recordings == 2


def test_there_is_no_recorder_for_what_does_not_lie_on_one_gpu_in_full_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    monkeypatch.setattr("namexp.kernels.graphed.CudaGraphs", lambda device: made.append(device) or Tape())

    def parameter(device: str, dtype: torch.dtype = torch.float32) -> Any:
        return type("P", (), {"device": torch.device(device), "dtype": dtype})()

    gpu = parameter("cuda:1")
    assert recorder_on([]) is None
    assert recorder_on([parameter("cpu")]) is None
    assert recorder_on([parameter("mps:0")]) is None
    assert recorder_on([gpu, parameter("cpu")]) is None
    assert recorder_on([gpu, parameter("cuda:0")]) is None
    assert recorder_on([gpu, parameter("cuda:1", torch.float64)]) is None
    assert recorder_on([parameter("cuda:1", torch.float64)]) is None
    assert made == []
    assert isinstance(recorder_on([gpu, gpu]), Tape)
    assert made == [torch.device("cuda:1")]
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    assert recorder_on([gpu]) is None
