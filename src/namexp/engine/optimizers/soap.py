"""SOAP: Adam in the slowly turning eigenbasis of Shampoo's two factors.

Source: Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv:2409.11321, algorithms 3
and 4, written from the equations. Tensors of one shape are computed together: a WaveNet has tens of equal
ones, each too small to be worth a command of its own.
Letters: N tensors of one shape, m rows, n columns; G gradient, M and V its first and second moment, L and R
factors, Q their bases, t updates made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

MOMENTS = ("exp_avg", "exp_avg_sq")
FACTORS = ("factor_left", "factor_right")
BASES = ("basis_left", "basis_right")


class SOAP(Optimizer):
    """Every tensor of two and more dimensions as a matrix, its first dimension by the rest; vectors by Adam.

    One step of a matrix W (m, n):

        M = beta1 M + (1 - beta1) G
        G' = Q_L^T G Q_R,  M' = Q_L^T M Q_R
        V = beta2 V + (1 - beta2) G' * G'
        W = W - lr Q_L (M' / (1 - beta1^t) / (sqrt(V / (1 - beta2^t)) + eps)) Q_R^T
        L = beta2 L + (1 - beta2) G G^T,  R = beta2 R + (1 - beta2) G^T G
        every so many updates: Q_L = the Q of QR(L Q_L), Q_R that of QR(R Q_R)

    M stays in the basis of the weights, so that it need not be turned when the bases are. The first gradient
    of a matrix gives its factors and their eigenvectors, and moves nothing. A vector's step is the same
    without bases, which is Adam's, from the first gradient on.

    What stands in different parameter groups shares no command, and a group's numbers depend on no other: a
    submodel of a pack gets the bits that it gets alone.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 8e-3,
        betas: Sequence[float] = (0.95, 0.95),
        eps: float = 1e-8,
        precondition_frequency: int = 10,
        go_back_above: float | None = None,
    ) -> None:
        """Prepare; a tensor's state begins with its first gradient.

        Args:
            params: what learns, or groups of it.
            lr: learning rate.
            betas: how much of M is kept from step to step, and of V, L and R.
            eps: added to the root of V.
            precondition_frequency: updates from one turn of the bases to the next.
            go_back_above: so many times its best val_loss takes a parameter group back to that state with
                half its ``share`` of the learning rate; None: never. Kept for whoever validates.

        Raises:
            ValueError: an argument out of range.
        """
        if not lr >= 0.0:
            raise ValueError(f"lr (= {lr}) must be at least 0")
        if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"betas (= {list(betas)}) must be two numbers of at least 0 and below 1")
        if not 0.0 <= eps < math.inf:
            raise ValueError(f"eps (= {eps}) must be at least 0")
        every = precondition_frequency
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise ValueError(f"precondition_frequency (= {every}) must be a whole number of at least 1")
        if go_back_above is not None and not 1.0 < go_back_above < math.inf:
            raise ValueError(f"go_back_above (= {go_back_above}) must be above 1, or null")
        self._stacks: dict[int, tuple[tuple[int, ...], list[_Stack]]] = {}
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "precondition_frequency": precondition_frequency,
            "go_back_above": go_back_above,
            "share": 1.0,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a state; what is computed together is put together again at the next step."""
        super().__setstate__(state)
        self._stacks = {}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update everything that has a gradient; the closure's loss, where there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for place, group in enumerate(self.param_groups):
            for stack in self._stacks_of(place, [p for p in group["params"] if p.grad is not None]):
                stack.step(group)
        return loss

    def _stacks_of(self, place: int, learning: list[Parameter]) -> list[_Stack]:
        """What of a group is computed together; as before, unless others learn or the state was moved."""
        who = tuple(map(id, learning))
        before, stacks = self._stacks.get(place, ((), []))
        if before != who or not all(stack.is_of(self.state) for stack in stacks):
            alike: dict[Any, list[Parameter]] = {}
            for p in learning:
                form = (p.shape[0], p.numel() // p.shape[0]) if p.ndim > 1 else None
                alike.setdefault((form, p.device, p.dtype, self.state[p].get("step")), []).append(p)
            stacks = [_Stack(ps, [self.state[p] for p in ps]) for ps in alike.values()]
            self._stacks[place] = who, stacks
        return stacks


class _Stack:
    """Matrices of one shape, or vectors, that have made as many updates: their states lie side by side.

    Attributes:
        parameters: N matrices, or any number of vectors.
        updates: t.
    """

    def __init__(self, parameters: list[Parameter], states: list[dict[str, Any]]) -> None:
        """Put the states together; from now on they are views of that. Empty ones begin."""
        first, N = parameters[0], len(parameters)
        self.parameters: list[Tensor] = [*parameters]
        self.updates: int = states[0].get("step", 0)
        self._states = states
        self._is_new = not states[0]
        form: tuple[int, ...] = (-1,)
        sides: tuple[int, ...] = ()
        if first.ndim > 1:
            sides = (first.shape[0], first.numel() // first.shape[0])
            form = (N, *sides)
        own = [tuple(p.shape) for p in parameters]
        for state, p in zip(states, parameters, strict=True):
            for name in MOMENTS if self._is_new else ():
                state[name] = torch.zeros_like(p, memory_format=torch.contiguous_format)
            for names in (FACTORS, BASES) if self._is_new else ():
                for name, k in zip(names, sides, strict=False):
                    state[name] = p.new_zeros(k, k)
        self._M, self._V = (_joined(states, name, form, own) for name in MOMENTS)
        self._factors, self._bases = (
            [_joined(states, n, (N, k, k), [(k, k)] * N) for n, k in zip(names, sides, strict=False)]
            for names in (FACTORS, BASES)
        )
        self._G = torch.empty_like(self._M)  # the gradients, and then what is subtracted
        self._parts = _parts(self._G, own)

    def is_of(self, states: Mapping[Any, Any]) -> bool:
        """Whether the optimiser's state is still what lies here: it is only ever replaced as a whole."""
        return states.get(self.parameters[0]) is self._states[0]

    def step(self, group: dict[str, Any]) -> None:
        """One step of all of them."""
        G = self._G
        torch._foreach_copy_(self._parts, [p.grad for p in self.parameters if p.grad is not None])
        if self._factors and self._is_new:
            for factor, basis, product in zip(self._factors, self._bases, _products(G), strict=True):
                factor.copy_(product)
                basis.copy_(_eigenvectors(product))
            self._end(0)
            return
        t, (beta1, beta2) = self.updates + 1, group["betas"]
        self._M.lerp_(G, 1 - beta1)
        turned = self._turned(G)
        self._V.mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        if self._factors:
            self._learn(G, beta2)
        scale = (self._V.sqrt() / math.sqrt(1 - beta2**t)).add_(group["eps"])
        G.copy_(self._turned_back(self._turned(self._M) / scale))
        rate = group["lr"] * group["share"] / (1 - beta1**t)
        torch._foreach_add_(self.parameters, self._parts, alpha=-rate)
        if t % group["precondition_frequency"] == 0:
            for factor, basis in zip(self._factors, self._bases, strict=True):
                basis.copy_(_turned_on(factor, basis))
        self._end(t)

    def _end(self, updates: int) -> None:
        self.updates, self._is_new = updates, False
        for state in self._states:
            state["step"] = updates

    def _turned(self, X: Tensor) -> Tensor:
        """(N, m, n): Q_L^T X Q_R; vectors as they are."""
        if not self._bases:
            return X
        left, right = self._bases
        return left.mT @ X @ right

    def _turned_back(self, X: Tensor) -> Tensor:
        """(N, m, n): Q_L X Q_R^T; vectors as they are."""
        if not self._bases:
            return X
        left, right = self._bases
        return left @ X @ right.mT

    def _learn(self, G: Tensor, beta2: float) -> None:
        """The factors' moving averages."""
        for factor, product in zip(self._factors, _products(G), strict=True):
            factor.lerp_(product, 1 - beta2)


def _joined(
    states: Sequence[dict[str, Any]], name: str, form: tuple[int, ...], own: Sequence[tuple[int, ...]]
) -> Tensor:
    """One tensor of all that the states have by a name, of which they become views."""
    whole = torch.cat([state[name].reshape(-1) for state in states]).view(form)
    for state, part in zip(states, _parts(whole, own), strict=True):
        state[name] = part
    return whole


def _parts(whole: Tensor, own: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Views of one tensor after the other, each of its own shape."""
    parts = whole.view(-1).split([math.prod(shape) for shape in own])
    return [part.view(shape) for part, shape in zip(parts, own, strict=True)]


def _products(G: Tensor) -> tuple[Tensor, Tensor]:
    """(N, m, n) to G G^T (N, m, m) and G^T G (N, n, n)."""
    return G @ G.mT, G.mT @ G


# Of the trace, so much: what has had no gradient yet would else be turned by rounding alone, another way on
# every machine and with every number of processes.
TIE = 1e-6


def _eigenvectors(factor: Tensor) -> Tensor:
    """(N, k, k) to bases; of what is not finite some basis: one broken tensor must not end the others."""
    finite = factor.isfinite().all(dim=-1).all(dim=-1)[:, None, None]
    order = torch.linspace(1.0, 2.0, factor.shape[-1], dtype=factor.dtype, device=factor.device)
    apart = TIE * _trace(factor) * torch.diag(order)
    return torch.linalg.eigh(torch.where(finite, factor + apart, 0.0))[1]


def _turned_on(factor: Tensor, basis: Tensor) -> Tensor:
    """(N, k, k) bases after a step of the power iteration; directions without a gradient stay."""
    return torch.linalg.qr(factor @ basis + TIE * _trace(factor) * basis)[0]


def _trace(factor: Tensor) -> Tensor:
    """(N, k, k) to (N, 1, 1)."""
    return factor.diagonal(dim1=-2, dim2=-1).sum(dim=-1)[:, None, None]
