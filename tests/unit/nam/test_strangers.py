"""Files of strangers: the runtime's verdict, also on what only a text editor makes, and limits by name."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.limits import check_patience
from namexp.architectures.played import ConvNetSpec, LinearSpec, LstmSpec
from namexp.errors import UserError
from namexp.models.conv_net import ConvNet
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.models.wavenet import WaveNet
from namexp.nam.describe import describe_file, lines
from namexp.nam.document import save_document
from namexp.nam.model import NamModel, to_document
from namexp.tasks.capture.doors import CaptureDoors
from namexp.tasks.capture.weights.playable import load_playable
from tests.architectures import PLAYABLE

Document = dict[str, Any]


def _document(network: Network) -> Document:
    return json.loads(json.dumps(to_document(NamModel(network.eval(), {"name": "x"}, 48000.0))))


@pytest.fixture(scope="module")
def sound() -> Document:
    """A WaveNet of two arrays."""
    return _document(WaveNet(PLAYABLE["two_arrays"]))


def _inspected(tmp_path: Path, content: bytes | Document) -> dict[str, Any]:
    path = tmp_path / "a.nam"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    described = describe_file(path)
    json.dumps(described, allow_nan=False)
    if described["loads"]:
        assert lines(described, "")
    else:
        assert "\n" not in described["reason"]
    return described


def _with_note(document: Document, note: str) -> bytes:
    return json.dumps({**document, "metadata": {"note": "@"}}).replace('"@"', note).encode()


# Each with the verdict of version 0.5.5 of the runtime, as its own build settings make it
ENCODED: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "byte order mark": (lambda text: b"\xef\xbb\xbf" + text, True),
    "half a mark": (lambda text: b"\xef\xbb" + text, False),
    "blanks before": (lambda text: b" \r\n\t" + text, True),
    "NUL after": (lambda text: text + b"\0\0\0", True),
    "anything after": (lambda text: text + b" } \xff rest", True),
    "a second object": (lambda text: text + text, True),
    "UTF-16": (lambda text: text.decode().encode("utf-16"), False),
    "Latin-1 inside": (lambda text: text.replace(b'"x"', b'"caf\xe9"'), False),
    "UTF-8 inside": (lambda text: text.replace(b'"x"', b'"caf\xc3\xa9"'), True),
    "encoded surrogate": (lambda text: text.replace(b'"x"', b'"\xed\xa0\x80"'), False),
    "tabulator inside": (lambda text: text.replace(b'"x"', b'"a\tb"'), False),
    "pair of halves": (lambda text: text.replace(b'"x"', b'"\\ud83d\\ude00"'), True),
    "first half": (lambda text: text.replace(b'"x"', b'"\\ud83d"'), False),
    "second half": (lambda text: text.replace(b'"x"', b'"\\ude00"'), False),
    "halves apart": (lambda text: text.replace(b'"x"', b'"\\ud83d \\ude00"'), False),
    "two first halves": (lambda text: text.replace(b'"x"', b'"\\ud83d\\ud83d\\ude00"'), False),
    "no half at all": (lambda text: text.replace(b'"x"', b'"\\\\ud83d"'), True),
    "half in a name": (lambda text: text.replace(b'"name"', b'"\\ud83d"'), False),
}


@pytest.mark.parametrize("name", ENCODED)
def test_encodings(tmp_path: Path, sound: Document, name: str) -> None:
    change, loads = ENCODED[name]
    assert _inspected(tmp_path, change(json.dumps(sound).encode()))["loads"] is loads


@pytest.mark.parametrize(
    ("note", "loads"),
    [
        ("1" * 5000, True), ("[" * 3000 + "]" * 3000, True), ("1e999", True), ("null", True),
        ("[" * 3000 + "}" * 3000, False), ("[" * 200_000, False), ("01", False), ("[1,]", False),
        ("NaN", False), ("-Infinity", False),
    ],
    ids=lambda value: str(value)[:8],
)  # fmt: skip
def test_what_nobody_reads_may_be_anything_that_is_json(
    tmp_path: Path, sound: Document, note: str, loads: bool
) -> None:
    assert _inspected(tmp_path, _with_note(sound, note))["loads"] is loads


@pytest.mark.parametrize("metadata", [[], [1], "text", 5, True, None])
def test_metadata_that_is_no_object_is_looked_past(tmp_path: Path, sound: Document, metadata: Any) -> None:
    described = _inspected(tmp_path, {**sound, "metadata": metadata})
    assert (described["loads"], described["metadata"]) == (True, None)


@pytest.mark.parametrize(
    ("version", "loads"),
    [
        ("0.5.4", True), ("0.7.12", True), ("00.05.004", True), ("0.5.2147483647", True),
        ("0.5.2147483648", False),
        ("0.5." + "9" * 5000, False), ("0.5.\u0662", False), ("\uff10.5.4", False), ("0.5.4\n", False),
        (" 0.5.4", False), ("0.8.0", False), ("0.4.9", False), ("+0.5.4", False), ("0.5.4.1", False),
    ],
    ids=lambda value: ascii(value)[:12],
)  # fmt: skip
def test_versions(tmp_path: Path, sound: Document, version: str, loads: bool) -> None:
    described = _inspected(tmp_path, {**sound, "version": version})
    assert described["loads"] is loads
    newer = any("newer" in warning for warning in described["warnings"])
    assert newer is (version == "0.7.12")


@pytest.mark.parametrize("place", ["weights", "sample_rate", "dilation", "head_scale", "loudness"])
def test_integers_beyond_all_floats_are_named(tmp_path: Path, sound: Document, place: str) -> None:
    document = json.loads(json.dumps(sound))
    if place == "weights":
        document["weights"][0] = 10**400
    elif place == "dilation":
        document["config"]["layers"][0]["dilations"][0] = 10**400
    elif place == "head_scale":
        document["config"]["head_scale"] = 10**400
    elif place == "loudness":
        document["metadata"] = {"loudness": 10**400}
    else:
        document[place] = 10**400
    described = _inspected(tmp_path, document)
    assert described["loads"] is False
    assert "(= inf)" in described["reason"]


@pytest.mark.parametrize("key", ["layer1x1", "conv_pre_film", "bottleneck", "gating_mode", "groups_input"])
def test_null_is_a_wrong_value_where_the_runtime_says_so(tmp_path: Path, sound: Document, key: str) -> None:
    document = json.loads(json.dumps(sound))
    document["config"]["layers"][0][key] = None
    described = _inspected(tmp_path, document)
    assert described["loads"] is False
    assert f"layers[0].{key} (= null) must have a value" in described["reason"]


def test_the_weights_of_a_container_are_read_although_nothing_plays_them(
    tmp_path: Path, sound: Document
) -> None:
    container = {
        **sound,
        "architecture": "SlimmableContainer",
        "config": {"submodels": [{"max_value": 1.0, "model": sound}]},
    }
    assert _inspected(tmp_path, container)["loads"] is True
    for weights in (None, "x", {}, [None], [[1.0]]):
        assert _inspected(tmp_path, {**container, "weights": weights})["loads"] is False


# --- limits -----------------------------------------------------------------------------------------


def _changed(document: Document, **layer: Any) -> Document:
    copied = json.loads(json.dumps(document))
    copied["config"]["layers"][0].update(layer)
    return copied


def _of_arrays(document: Document, count: int) -> Document:
    layers = document["config"]["layers"][:1] * count
    return {**document, "config": {**document["config"], "layers": layers}}


LARGE: dict[str, tuple[Callable[[Document], Document], str]] = {
    "dilation": (lambda d: _changed(d, dilations=[10**9, 2, 4, 8]), "dilations (= 1000000000 samples)"),
    "64 bits": (lambda d: _changed(d, dilations=[2**63, 2, 4, 8]), "dilations (= about 10^19 samples)"),
    "field": (lambda d: _changed(d, dilations=[2**22] * 4), "receptive_field (= "),
    "kernel": (lambda d: _changed(d, kernel_sizes=[2**30, 2, 2, 2]), "kernel_sizes (= 1073741824 samples)"),
    "channels": (lambda d: _changed(d, channels=10**6, bottleneck=10**6), "channels (= 1000000)"),
    "arrays": (lambda d: _of_arrays(d, 2000), "layers (= 2000 layer arrays)"),
    "layers": (lambda d: _changed(d, dilations=[1] * 100_000), "dilations (= 100000 entries)"),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_small_file_cannot_ask_for_all_memory(tmp_path: Path, sound: Document, name: str) -> None:
    change, told = LARGE[name]
    described = _inspected(tmp_path, change(sound))
    assert described["loads"] is False
    assert told in described["reason"]
    assert "is the most" in described["reason"]


def test_other_architectures_have_the_same_limits(tmp_path: Path) -> None:
    tanh = ActivationSpec("Tanh")
    lstm, conv = _document(Lstm(LstmSpec(1, 2, 1))), _document(ConvNet(ConvNetSpec(2, (1,), False, tanh)))
    lstm["config"]["num_layers"] = 10**9
    assert "num_layers (= 1000000000) is too large: 32 is the most" in _inspected(tmp_path, lstm)["reason"]
    conv["config"]["dilations"] = [2 * 10**9]
    assert "receptive_field (= 2000000001 samples) is too large" in _inspected(tmp_path, conv)["reason"]
    linear = {
        **lstm,
        "architecture": "Linear",
        "config": {"receptive_field": 10**12, "bias": False},
        "weights": [1.0],
    }
    assert "is too large" in _inspected(tmp_path, linear)["reason"]


@pytest.mark.parametrize("kind", ["condition", "container"])
def test_models_in_models_have_an_end(tmp_path: Path, kind: str) -> None:
    inner = _document(WaveNet(PLAYABLE["two_arrays"]))
    document = inner
    for _ in range(40):
        if kind == "condition":
            document = {**inner, "config": {**inner["config"], "condition_dsp": document}}
        else:
            submodels = [{"max_value": 1.0, "model": document}]
            document = {**inner, "architecture": "SlimmableContainer", "config": {"submodels": submodels}}
    assert "the depth of models in models (= 17) is too large" in _inspected(tmp_path, document)["reason"]


def test_many_submodels_have_an_end(tmp_path: Path, sound: Document) -> None:
    submodels = [{"max_value": 1.0 + i, "model": sound} for i in range(100)]
    container = {**sound, "architecture": "SlimmableContainer", "config": {"submodels": submodels}}
    assert (
        "submodels (= 100 models) is too large: 64 is the most" in _inspected(tmp_path, container)["reason"]
    )


def test_sixteen_conditions_are_described_at_once(tmp_path: Path) -> None:
    """Each asked its condition twice before: 65,536 times for the innermost."""
    inner = _document(WaveNet(PLAYABLE["two_arrays"]))
    document = inner
    for _ in range(16):
        document = {**inner, "config": {**inner["config"], "condition_dsp": document}}
    field = PLAYABLE["two_arrays"].receptive_field
    assert field is not None
    assert _inspected(tmp_path, document)["receptive_field"] == 1 + 17 * (field - 1)


def test_weights_of_an_lstm_are_counted_without_a_list_of_its_layers() -> None:
    assert LstmSpec(1, 5, 2).num_weights == 4 * 5 * 6 + 20 + 10 + 4 * 5 * 10 + 20 + 10 + 5 + 1
    assert LstmSpec(1, 3, 10**9).num_weights == 4 * 3 * 4 + (10**9 - 1) * 4 * 3 * 6 + 10**9 * 18 + 4
    assert LstmSpec(1, 5, 2).macs_per_sample == 4 * 5 * 6 + 4 * 5 * 10 + 5


def test_what_may_be_looked_at_need_not_be_played(tmp_path: Path, sound: Document) -> None:
    document = _changed(sound, dilations=[2**20, 2, 4, 8])
    assert _inspected(tmp_path, document)["loads"] is True
    with pytest.raises(
        UserError, match=r"a\.nam: receptive_field .* is too large to be played: 1048576 is the most"
    ):
        load_playable(tmp_path / "a.nam")
    check_patience(LinearSpec(2**20, bias=False))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nam")
    (tmp_path / "zero.nam").symlink_to("/dev/zero")
    for name in ("pipe.nam", "zero.nam"):
        described = describe_file(tmp_path / name)
        assert described["loads"] is False
        assert "is no regular file" in described["reason"]


def test_text_that_is_none_is_never_written(tmp_path: Path, sound: Document) -> None:
    for metadata in ({"name": "caf\udce9"}, {"\ud800": 1}, {"a": [{"b": "\udfff"}]}):
        with pytest.raises(ValueError, match="lone surrogate"):
            save_document({**sound, "metadata": metadata}, tmp_path / "a.nam")
    assert list(tmp_path.iterdir()) == []


def test_of_a_run_its_file_is_inspected(tmp_path: Path, sound: Document) -> None:
    (tmp_path / "model.nam").write_text(json.dumps(sound))
    inspected = CaptureDoors().inspect(Namespace(file=tmp_path))
    assert inspected.fault is None
    assert inspected.lines[0] == f"{tmp_path / 'model.nam'}: the C++ runtime loads it"


def test_a_key_that_is_needed_itself_is_no_misspelling_of_another(tmp_path: Path) -> None:
    document = _document(Lstm(LstmSpec(1, 2, 1)))
    del document["config"]["input_size"]
    assert _inspected(tmp_path, document)["reason"] == "config.input_size is missing; give it a value."
    document["config"]["inputt_size"] = 1
    assert "(did you misspell it as 'inputt_size'?)" in _inspected(tmp_path, document)["reason"]
