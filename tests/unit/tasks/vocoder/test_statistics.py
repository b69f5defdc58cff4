"""What was learned from, in numbers."""

from __future__ import annotations

import pytest
import torch

from namexp.tasks.vocoder.statistics import MelStatistics, overall


def test_batches_give_the_mean_and_spread_of_all() -> None:
    mels = torch.randn(50, 4, 9) * torch.tensor([0.5, 1.0, 2.0, 0.1])[:, None] + torch.arange(4.0)[:, None]
    statistics = MelStatistics(4)
    assert statistics.to_plain() is None
    for part in mels.split([1, 20, 29]):
        statistics.update(part)
    plain = statistics.to_plain()
    assert plain is not None
    assert plain["frames"] == 450
    flat = mels.permute(1, 0, 2).flatten(1).double()
    assert plain["mean"] == pytest.approx(flat.mean(dim=1).tolist(), abs=1e-4)
    assert plain["std"] == pytest.approx(flat.std(dim=1, correction=0).tolist(), abs=1e-4)
    mean, std = overall(plain)
    assert mean == pytest.approx(float(mels.mean()), abs=1e-4)
    assert std == pytest.approx(float(mels.double().std(correction=0)), abs=1e-4)


def test_they_go_on_from_a_checkpoint() -> None:
    mels = torch.randn(10, 3, 5)
    whole, first, second = (MelStatistics(3) for _ in range(3))
    whole.update(mels[:4])
    whole.update(mels[4:])
    first.update(mels[:4])
    second.load_state_dict(first.state_dict())
    second.update(mels[4:])
    assert second.to_plain() == whole.to_plain()
