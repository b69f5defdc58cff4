"""Images from noise, by command: which, how many, how far from the mean."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from numpy.typing import NDArray

from namexp.errors import UserError
from namexp.synthesize import main
from namexp.tasks.density.data.items import quantised
from namexp.tasks.density.networks import build_network
from namexp.tasks.density.sampling import Drawing, sample
from namexp.tasks.density.weights.single import Density, write_density
from namexp.tasks.known import doors_at
from tests.unit.tasks.density.test_module import configured


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = build_network(configured().model.spec, seed=1)
    network.initialised.fill_(True)
    path = tmp_path_factory.mktemp("density") / "model.safetensors"
    write_density(path, Density(network.eval(), path, {}))
    return path


def asked(model: Path, output: Path, *inputs: Path, **more: Any) -> Namespace:
    unsaid = {
        "temperature": None, "seed": None, "count": None, "float": False, "mel_scale": "natural",
        "match_length": False, "chunk_seconds": None, "test": False, "accept_untested": False,
    }  # fmt: skip
    return Namespace(model=model, output=output, inputs=list(inputs), **{**unsaid, **more})


def drawn(model: Path, output: Path, **more: Any) -> list[str]:
    doors = doors_at(model)
    arguments = asked(model, output, **more)
    doors.refuse_others(arguments, model)
    doors.check_inputs(arguments)
    return [Path(line).name for line in doors.synthesize(arguments)]


def pixels(path: Path) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.round(255 * imread(path)[..., :3]).astype(np.uint8)
    return found


def test_the_files_are_the_inverse_of_the_seeds_noise(model: Path, tmp_path: Path) -> None:
    names = drawn(model, tmp_path / "a", temperature="0.7", seed=5, count=3)
    assert names == ["sample-0000.png", "sample-0001.png", "sample-0002.png", "samples.png"]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "a").iterdir())
    network = build_network(configured().model.spec, seed=1).eval()
    generator = torch.Generator().manual_seed(5)
    for i in range(3):
        noise = [0.7 * part for part in network.draw_noise(1, generator)]
        expected = quantised(network.inverse(noise))[0].transpose(1, 2, 0)
        found = pixels(tmp_path / "a" / f"sample-{i:04d}.png")
        assert found.shape == (32, 32, 3)
        assert np.abs(found.astype(int) - expected).max() <= 1, "a batch may round a cell's border otherwise"
    assert pixels(tmp_path / "a" / "samples.png").shape == (100, 3 * 98 + 2, 3)


def test_an_image_does_not_depend_on_how_many_there_are(model: Path, tmp_path: Path) -> None:
    drawn(model, tmp_path / "few", count=2)
    drawn(model, tmp_path / "many", count=70)
    drawn(model, tmp_path / "other", count=1, seed=1)
    few, many, other = (pixels(tmp_path / name / "sample-0000.png") for name in ("few", "many", "other"))
    assert np.abs(few.astype(int) - many).max() <= 1
    assert np.abs(few.astype(int) - other).max() > 1
    assert len(list((tmp_path / "many").glob("sample-*.png"))) == 70


def test_temperature_0_is_one_image_and_several_have_directories(model: Path, tmp_path: Path) -> None:
    drawn(model, tmp_path, temperature="0,0.6,1", count=2)
    first, second = (pixels(tmp_path / "0" / f"sample-000{i}.png") for i in range(2))
    assert np.array_equal(first, second)
    spread = [float(pixels(tmp_path / t / "sample-0001.png").astype(float).std()) for t in ("0", "0.6", "1")]
    assert spread[0] < spread[1] < spread[2]


def test_the_command_takes_a_model_and_a_directory(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(model), str(tmp_path / "out"), "--count", "1", "--temperature", "0.5", "--seed", "2"]
    monkeypatch.setattr("sys.argv", ["synthesize", *words])
    assert main() == 0
    assert [Path(line).name for line in capsys.readouterr().out.splitlines()] == [
        "sample-0000.png", "samples.png",
    ]  # fmt: skip
    drawn(model, tmp_path / "same", temperature="0.5", seed=2, count=1)
    assert (tmp_path / "out" / "sample-0000.png").read_bytes() == (
        tmp_path / "same" / "sample-0000.png"
    ).read_bytes()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"count": 0}, "--count (= 0) must be at least 1"),
        ({"count": -3}, "--count (= -3) must be at least 1"),
        ({"seed": -1}, "--seed (= -1) must be at least 0"),
        ({"temperature": "-0.5"}, "--temperature (= -0.5) must be at least 0"),
        ({"temperature": "0.6,hot"}, "--temperature (= hot) must be at least 0"),
        ({"temperature": "nan"}, "--temperature (= nan) must be at least 0"),
        ({"float": True}, "--float: "),
        ({"mel_scale": "db"}, "--mel-scale: "),
        ({"test": True}, "--test: "),
    ],
)
def test_what_makes_no_sense_is_refused(model: Path, tmp_path: Path, more: Any, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        drawn(model, tmp_path / "out", **more)
    assert str(caught.value).startswith(expected)
    assert not (tmp_path / "out").exists()


def test_inputs_and_files_in_the_way_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"clip\.wav: .* makes them of noise alone: MODEL OUT_DIR"):
        doors_at(model).check_inputs(asked(model, tmp_path, Path("clip.wav")))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: is a file; give a directory"):
        list(sample(model, tmp_path / "file", Drawing()))
