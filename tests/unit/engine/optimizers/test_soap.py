"""SOAP against the paper's equations; what stands apart, what is stored, what it is good for."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from namexp.architectures.packing import Submodel
from namexp.engine.module import Optimisation
from namexp.engine.optimisation import build_optimizer, check_optimisation
from namexp.engine.optimizers.soap import SOAP, TIE
from namexp.errors import UserError
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.module import CaptureModule
from tests.architectures import SLIMMABLE, layers, wavenet

LR, BETA1, BETA2, EPS, EVERY = 0.03, 0.9, 0.95, 1e-6, 10
OPTIONS: dict[str, Any] = {"lr": LR, "betas": (BETA1, BETA2), "eps": EPS, "precondition_frequency": EVERY}
CONFIG = OptimizerConfig("SOAP", LR, 0.0, {"betas": [BETA1, BETA2], "eps": EPS})
CONSTANT = SchedulerConfig(None, None, "epoch", "val_loss")
MSE = LossConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.85, 0.0, 0.85, "mse")
# two of a shape, a row, a column, a number on its own, three dimensions and four, vectors
SHAPES = [(4, 4), (3, 2, 4), (4, 4), (1, 5), (6, 1, 1), (1, 1), (2, 3, 1, 2), (5,), (3,), ()]


def _random(seed: int, shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def _give(parameters: Sequence[Parameter], gradients: Sequence[Tensor]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()


class _Plain:
    """One tensor by the equations of algorithms 3 and 4, as they stand in the paper."""

    def __init__(self, weight: Tensor) -> None:
        self.W, self.t = weight.clone(), 0
        self.M, self.V = torch.zeros_like(self._matrix(weight)), torch.zeros_like(self._matrix(weight))
        self.L = self.R = self.QL = self.QR = torch.empty(0)

    @staticmethod
    def _matrix(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1) if x.ndim > 1 else x

    def begin(self, gradient: Tensor, left: Tensor, right: Tensor) -> None:
        """An eigenbasis is not unique: it starts from the one that was found, if that is one."""
        G = self._matrix(gradient)
        self.L, self.R, self.QL, self.QR = G @ G.T, G.T @ G, left.clone(), right.clone()
        for P, Q in ((self.L, left), (self.R, right)):
            torch.testing.assert_close(Q.T @ Q, torch.eye(len(P), dtype=P.dtype), rtol=0, atol=1e-12)
            D = Q.T @ (P + TIE * P.trace() * torch.diag(torch.linspace(1, 2, len(P), dtype=P.dtype))) @ Q
            torch.testing.assert_close(D, torch.diag(D.diagonal()), rtol=0, atol=1e-12 * float(P.norm()))

    def step(self, gradient: Tensor) -> None:
        G = self._matrix(gradient)
        self.t += 1
        self.M = BETA1 * self.M + (1 - BETA1) * G
        Gp, Mp = (self.QL.T @ x @ self.QR for x in (G, self.M)) if G.ndim > 1 else (G, self.M)
        self.V = BETA2 * self.V + (1 - BETA2) * Gp**2
        N = (Mp / (1 - BETA1**self.t)) / ((self.V / (1 - BETA2**self.t)).sqrt() + EPS)
        if G.ndim > 1:
            N = self.QL @ N @ self.QR.T
            self.L = BETA2 * self.L + (1 - BETA2) * G @ G.T
            self.R = BETA2 * self.R + (1 - BETA2) * G.T @ G
        self.W = self.W - LR * N.reshape(self.W.shape)
        if G.ndim > 1 and self.t % EVERY == 0:
            eye = (torch.eye(len(P), dtype=P.dtype) for P in (self.L, self.R))
            self.QL = torch.linalg.qr((self.L + TIE * self.L.trace() * next(eye)) @ self.QL)[0]
            self.QR = torch.linalg.qr((self.R + TIE * self.R.trace() * next(eye)) @ self.QR)[0]


def test_it_computes_the_papers_equations() -> None:
    parameters = [Parameter(x) for x in _random(0)]
    optimizer = SOAP(parameters, **OPTIONS)
    plain = [_Plain(p.detach()) for p in parameters]
    for step in range(24):
        gradients = _random(100 + step)
        _give(parameters, gradients)
        optimizer.step()
        for p, own, G in zip(parameters, plain, gradients, strict=True):
            if step == 0 and p.ndim > 1:
                own.begin(G, optimizer.state[p]["basis_left"], optimizer.state[p]["basis_right"])
            else:
                own.step(G)
    for p, own in zip(parameters, plain, strict=True):
        assert own.t >= 23, "the bases have turned twice"
        torch.testing.assert_close(p.detach(), own.W, rtol=1e-12, atol=1e-13)
        state = optimizer.state[p]
        assert state["step"] == own.t
        torch.testing.assert_close(state["exp_avg"].view_as(own.M), own.M, rtol=1e-12, atol=1e-13)
        if p.ndim > 1:
            torch.testing.assert_close(state["factor_right"], own.R, rtol=1e-12, atol=1e-13)
            torch.testing.assert_close(state["basis_left"], own.QL, rtol=1e-10, atol=1e-11)


def test_rounding_does_not_choose_a_basis_for_what_has_had_no_gradient() -> None:
    def learned(noise: float) -> Tensor:
        generator = torch.Generator().manual_seed(3)
        weight = Parameter(torch.zeros(6, 20, dtype=torch.float64))
        optimizer = SOAP([weight], **OPTIONS)
        for step in range(25):  # of rank 1, as of a layer whose input has one channel
            G = torch.outer(*(torch.randn(n, generator=generator, dtype=torch.float64) for n in (6, 20)))
            own = torch.Generator().manual_seed(step)
            weight.grad = G + noise * torch.randn(6, 20, generator=own, dtype=torch.float64)
            optimizer.step()
        return weight.detach()

    exact = learned(0.0)
    assert float((learned(1e-15) - exact).norm() / exact.norm()) < 1e-8


def test_the_first_gradient_moves_no_matrix_and_the_second_by_the_learning_rate_in_its_basis() -> None:
    parameters = [Parameter(x) for x in _random(1)]
    before = [p.detach().clone() for p in parameters]
    optimizer = SOAP(parameters, lr=LR, betas=(0.0, 0.0), eps=0.0)
    _give(parameters, _random(2))
    optimizer.step()
    for p, was in zip(parameters, before, strict=True):
        assert torch.equal(p.detach(), was) == (p.ndim > 1)
    before = [p.detach().clone() for p in parameters]
    _give(parameters, _random(3))
    optimizer.step()
    for p, was in zip(parameters, before, strict=True):
        move = (p.detach() - was).reshape(p.shape[0], -1) if p.ndim > 1 else p.detach() - was
        if p.ndim > 1:
            move = optimizer.state[p]["basis_left"].T @ move @ optimizer.state[p]["basis_right"]
        torch.testing.assert_close(move.abs(), torch.full_like(move, LR), rtol=1e-12, atol=0)


def test_vectors_and_numbers_are_adams() -> None:
    shapes = [(5,), (3,), (), (1,)]
    ours, theirs = ([Parameter(x) for x in _random(4, shapes)] for _ in range(2))
    soap = SOAP(ours, **OPTIONS)
    adam = torch.optim.Adam(theirs, lr=LR, betas=(BETA1, BETA2), eps=EPS)
    for step in range(20):
        for parameters, optimizer in ((ours, soap), (theirs, adam)):
            _give(parameters, _random(200 + step, shapes))
            optimizer.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("channels", [(2, 3), (3, 3, 5)])
def test_a_pack_learns_what_its_submodels_learn_alone(channels: tuple[int, ...]) -> None:
    specs = [wavenet(layers(channels=c, head={"kernel_size": 5, "bias": True})) for c in channels]
    torch.manual_seed(0)
    pack = PackedWaveNet([Submodel(str(i), spec) for i, spec in enumerate(specs)]).double()
    alone = [WaveNet(spec).double() for spec in specs]
    for row, network in enumerate(alone):
        network.load_state_dict(pack.alone(row).state_dict())

    def learn(network: Any) -> None:
        rows = [network.row_parameters(row) for row in range(len(network.row_suffixes))]
        optimizer = build_optimizer(network.parameters(), CONFIG, together=rows)
        generator = torch.Generator().manual_seed(5)
        for _ in range(24):
            x = torch.randn(2, 80, generator=generator, dtype=torch.float64)
            optimizer.zero_grad()
            y = network(x)
            (y - torch.tanh(2 * x[:, None, -y.shape[-1] :])).square().mean(dim=(0, 2)).sum().backward()
            optimizer.step()

    for network in (pack, *alone):
        learn(network)
    for row, network in enumerate(alone):
        for p, q in zip(pack.row_parameters(row), network.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)


def test_what_stands_apart_keeps_its_bits_beside_anything() -> None:
    shapes = [(3, 45), (3, 45), (3, 3)]  # places in memory at which a product rounds differently
    left, again, other = ([Parameter(x.float()) for x in _random(6, shapes)] for _ in range(3))
    beside = SOAP([{"params": other}, {"params": again}], **OPTIONS)
    alone = SOAP(left, **OPTIONS)
    for step in range(24):
        gradients = [g.float() for g in _random(300 + step, shapes)]
        _give(left, gradients)
        _give(again, gradients)
        _give(other, [g.float() * float("nan") for g in _random(400 + step, shapes)])
        alone.step()
        beside.step()
    assert all(torch.equal(p, q) for p, q in zip(left, again, strict=True))
    assert all(not p.isfinite().any() for p in other)


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("cut", [1, 2, 10, 17])
@pytest.mark.parametrize("way", [_through_a_file, copy.deepcopy])
def test_it_goes_on_from_what_is_stored_bit_for_bit(cut: int, way: Callable[[Any], Any]) -> None:
    shapes = [(3, 45), (3, 45), (8, 8), (3, 45), (7,)]
    whole = [Parameter(x.float()) for x in _random(7, shapes)]
    optimizer = SOAP(whole, **OPTIONS)
    for step in range(24):
        if step == cut:
            state = way(optimizer.state_dict())
            again = [Parameter(p.detach().clone()) for p in whole]
            continued = SOAP(again, lr=1.0)
            continued.load_state_dict(state)
        gradients = [g.float() for g in _random(500 + step, shapes)]
        _give(whole, gradients)
        optimizer.step()
        if step >= cut:
            _give(again, gradients)
            continued.step()
    assert all(torch.equal(p, q) for p, q in zip(whole, again, strict=True))
    for p, q in zip(whole, again, strict=True):
        one, other = optimizer.state[p], continued.state[q]
        assert one.keys() == other.keys()
        assert all(torch.equal(torch.as_tensor(one[k]), torch.as_tensor(other[k])) for k in one)


def test_what_gets_a_gradient_later_or_none_has_its_own_count() -> None:
    parameters = [Parameter(x) for x in _random(8, [(3, 4)] * 3)]
    optimizer = SOAP(parameters, **OPTIONS)
    alone = [Parameter(p.detach().clone()) for p in parameters]
    own = [SOAP([p], **OPTIONS) for p in alone]
    for step in range(15):
        gradients = _random(600 + step, [(3, 4)] * 3)
        for i, (p, q) in enumerate(zip(parameters, alone, strict=True)):
            learns = i == 0 or (i == 1 and step >= 4)
            p.grad, q.grad = (gradients[i].clone(), gradients[i].clone()) if learns else (None, None)
        for one in (optimizer, *own):
            one.step()
    assert [optimizer.state[p].get("step") for p in parameters] == [14, 10, None]
    for p, q in zip(parameters, alone, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)


def _left_of_a_slanted_valley(make: Callable[[list[Parameter]], torch.optim.Optimizer]) -> float:
    """|A W B|^2 after 400 steps as a share of that before; axes are not those of W, the condition is 1e6."""
    generator = torch.Generator().manual_seed(9)
    A, B, W = (torch.randn(6, 6, generator=generator, dtype=torch.float64) for _ in range(3))
    lengths = torch.logspace(0, -1.5, 6, dtype=torch.float64)
    A, B = lengths[:, None] * torch.linalg.qr(A)[0].T, torch.linalg.qr(B)[0] * lengths
    weight = Parameter(W.clone())
    optimizer = make([weight])
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 + math.cos(math.pi * step / 400)) / 2
        optimizer.zero_grad()
        (A @ weight @ B).square().sum().backward()
        optimizer.step()
    return float((A @ weight.detach() @ B).square().sum() / (A @ W @ B).square().sum())


def test_it_gets_down_a_slanted_valley_where_adam_does_not() -> None:
    assert _left_of_a_slanted_valley(lambda ps: SOAP(ps, betas=(0.95, 0.95))) < 5e-5
    assert _left_of_a_slanted_valley(lambda ps: torch.optim.Adam(ps, betas=(0.95, 0.95))) > 1e-4
    assert _left_of_a_slanted_valley(torch.optim.Adam) > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"betas": [0.9, 1.0]}, "betas (= [0.9, 1.0]) must be two numbers of at least 0 and below 1"),
        ({"betas": [0.9]}, "betas (= [0.9]) must be two numbers"),
        ({"betas": 0.9}, "SOAP"),
        ({"eps": -1e-8}, "eps (= -1e-08) must be at least 0"),
        ({"precondition_frequency": 0}, "precondition_frequency (= 0) must be a whole number of at least 1"),
        ({"precondition_frequency": 2.5}, "precondition_frequency (= 2.5) must be a whole number"),
        ({"go_back_above": 1}, "go_back_above (= 1) must be above 1, or null"),
        ({"go_back_above": -3.0}, "go_back_above (= -3.0) must be above 1, or null"),
        ({"fused": True}, "fused"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_optimisation(OptimizerConfig("SOAP", 0.01, 0.0, options), CONSTANT)
    assert str(caught.value).startswith("optimizer.name (= SOAP) does not take optimizer.options")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boosting_holds_the_smaller_widths() -> None:
    net = SlimmableWaveNet(SLIMMABLE, boosting=True, seed=0).train()
    task = CaptureModule(net, Optimisation(CONFIG, CONSTANT), loss=MSE)
    optimizer = task.configure_optimizers()
    assert type(optimizer) is SOAP
    batch = Batch(torch.randn(2, 130), torch.randn(2, 100))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = task.training_step(batch, 0)
        loss.backward()
        return loss

    for step in range(15):
        task.updates = step
        before = [net.slimmed(i).export_weights() for i in range(3)]
        task.optimizer_step(0, step, optimizer, closure)
        moved = [not torch.equal(net.slimmed(i).export_weights(), before[i]) for i in range(3)]
        assert moved[net._drawn], "the drawn width learns"
        assert not any(moved[: net._drawn]), "the smaller ones stay"
