"""W&B runs that stay on this machine, read back from their files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wandb
from pytorch_lightning.utilities import rank_zero_only

from namexp.audio.wav import read_wav
from namexp.errors import UserError
from namexp.schema.logger import LoggerConfig
from namexp.tracking import wandb_tracker
from namexp.tracking.opening import check_tracking, open_tracker
from namexp.tracking.tracker import Clip, RunDescription, TrackerLogger, Untracked
from namexp.tracking.wandb_tracker import WandbTracker, check_credentials
from tests.offline_run import OfflineRun, offline_runs

Config = Callable[..., LoggerConfig]
Describe = Callable[..., RunDescription]

pytestmark = pytest.mark.usefixtures("wandb_at_home")


def _only(about: RunDescription) -> OfflineRun:
    (run,) = offline_runs(about.layout.root)
    return run


def test_what_is_known_at_the_start(logger_config: Config, description: Describe) -> None:
    about = description("first")
    with open_tracker(logger_config("wandb"), about):
        pass
    found = _only(about)
    run = found.run
    assert (run.project, run.display_name, run.run_group, run.job_type) == (
        "namexp-tests", "first", "sweep 7", "train",
    )  # fmt: skip
    assert set(run.tags) == {"packed_wavenet", "mine"}
    assert {key: found.config[key] for key in about.config} == about.config
    assert found.summary["model/macs_per_sample_packed_0"] == 76
    assert found.exit_code == 0
    assert about.layout.wandb_id.read_text() == f"{run.run_id}\n"


def test_the_best_value_is_the_summary_and_what_is_not_finite_does_not_count(
    logger_config: Config, description: Describe
) -> None:
    about = description("first")
    with open_tracker(logger_config("wandb"), about) as tracker:
        logger = TrackerLogger(tracker)
        for step, esr in enumerate([0.5, math.nan, 0.125, 0.25]):
            row = {"ESR_packed_1": esr, "LL_packed_1": -esr, "train/loss": 2 * esr, "epoch": step}
            logger.log_metrics(row, step=step * 10)
        assert tracker.last_step == 30
    found = _only(about)
    assert found.summary["ESR_packed_1"] == {"min": 0.125}
    assert found.summary["LL_packed_1"] == {"max": -0.125}
    assert found.summary["train/loss"] == 0.5  # the last
    assert found.values("ESR_packed_1") == [0.5, 0.125, 0.25]
    steps = [row["trainer/global_step"] for row in found.history if "ESR_packed_1" in row]
    assert steps == [0, 20, 30]


def test_sound_pictures_tables_and_files(
    logger_config: Config, description: Describe, tmp_path: Path
) -> None:
    about = description("first")
    samples = np.linspace(-0.5, 0.5, 64, dtype=np.float32)
    png = tmp_path / "p.png"
    png.write_bytes(_png())
    nam = tmp_path / "model.nam"
    nam.write_text("{}")
    with open_tracker(logger_config("wandb"), about) as tracker:
        tracker.metrics({"ESR": 1.0}, 40)
        clips = {
            "audio/x": Clip(samples, 16000, "how it sounds"),
            "audio/broken": Clip(samples * np.float32(np.nan), 16000, "cannot be heard"),
        }
        tracker.audio(clips, 20)
        tracker.audio({"audio/broken": clips["audio/broken"]})
        tracker.pictures({"pictures/x": png})
        tracker.table("submodels", ["name", "ESR"], [["small", 0.5], ["large", None]])
        tracker.summarise({"exported/ESR": 0.5, "exported/bad": math.nan})
        tracker.files("model", [nam], {"training_id": "ab", "bad": math.inf})
    found = _only(about)
    assert "audio/broken" not in found.logged_keys()
    (audio,) = found.values("audio/x")
    assert (audio["_type"], audio["caption"]) == ("audio-file", "how it sounds")
    heard = read_wav(found.file(audio))
    assert heard.sample_rate == 16000
    np.testing.assert_allclose(heard.samples, samples, atol=2**-15)
    (picture,) = found.values("pictures/x")
    assert found.file(picture).read_bytes() == png.read_bytes()
    (table,) = found.values("submodels")
    content = json.loads(found.file(table).read_text())
    assert (content["columns"], content["data"]) == (["name", "ESR"], [["small", 0.5], ["large", None]])
    at = {key: row["trainer/global_step"] for row in found.history for key in row if "/x" in key}
    assert at == {"audio/x": 20, "pictures/x": 40}  # without a step: where the metrics are
    assert (found.summary["exported/ESR"], found.summary["exported/bad"]) == (0.5, None)
    artifact = next(a for a in found.artifacts if a.type == "model")
    assert artifact.name == f"model-{found.run.run_id}"
    assert json.loads(artifact.metadata) == {"training_id": "ab", "bad": None}
    assert [(c.path, c.size) for c in artifact.manifest.contents] == [("model.nam", 2)]


def _png() -> bytes:
    from io import BytesIO

    from matplotlib.figure import Figure

    buffer = BytesIO()
    Figure(figsize=(1, 1)).savefig(buffer, format="png")
    return buffer.getvalue()


def test_two_trainings_of_one_process_are_two_runs(logger_config: Config, description: Describe) -> None:
    first, second = description("first"), description("second")
    with open_tracker(logger_config("wandb"), first) as tracker:
        tracker.metrics({"ESR": 0.5}, 0)
        with open_tracker(logger_config("wandb"), second) as inner:  # even at the same time
            inner.metrics({"ESR": 0.25}, 0)
    a, b = _only(first), _only(second)
    assert a.run.run_id != b.run.run_id
    assert a.run.run_group == b.run.run_group
    assert (a.values("ESR"), b.values("ESR")) == ([0.5], [0.25])
    assert wandb.run is None  # nothing is left for a third to continue


@pytest.mark.parametrize(
    ("error", "code"), [(ValueError("no\nway"), 1), (KeyboardInterrupt(), 130)], ids=["mistake", "Ctrl-C"]
)
def test_a_run_that_raises_is_closed_as_failed(
    logger_config: Config, description: Describe, error: BaseException, code: int
) -> None:
    about = description("first")

    def training() -> None:
        with open_tracker(logger_config("wandb"), about):
            raise error

    with pytest.raises(type(error)):
        training()
    found = _only(about)
    assert found.exit_code == code
    if isinstance(error, ValueError):
        assert found.summary["error"] == "ValueError: no way"


def test_the_same_directory_is_the_same_run(logger_config: Config, description: Describe) -> None:
    about = description("first")
    for expected, step in ((False, 0), (True, 10)):
        with open_tracker(logger_config("wandb"), about) as tracker:
            assert tracker.continued is expected
            tracker.metrics({"ESR": 0.5 - step / 100}, step)
    parts = offline_runs(about.layout.root)
    assert {part.run.run_id for part in parts} == {about.layout.wandb_id.read_text().strip()}
    assert sorted(step for part in parts for step in part.values("trainer/global_step")) == [0, 10]


def test_a_damaged_id_is_refused(logger_config: Config, description: Describe) -> None:
    about = description("first")
    about.layout.wandb_id.write_text("two words\n")
    with pytest.raises(UserError, match=r"wandb_id.txt \(= 'two words'\): is no W&B run id; delete"):
        WandbTracker(logger_config("wandb"), about)


# --- online ---------------------------------------------------------------------------------------


def test_online_without_an_account_is_refused_at_once(logger_config: Config) -> None:
    with pytest.raises(UserError) as caught:
        check_tracking(logger_config("wandb", mode="online"))
    message = str(caught.value)
    assert message.startswith("logger.mode (= online): there is no W&B API key for http")
    assert message.endswith("run `wandb login`, set WANDB_API_KEY, or use logger.mode=offline.")
    assert "\n" not in message


def test_a_key_in_the_environment_or_in_a_netrc_is_an_account(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = wandb.setup().settings.base_url.partition("://")[2]
    (tmp_path / "netrc").write_text(f"machine elsewhere.example\n  login user\n  password {'a' * 40}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(UserError, match="no W&B API key"):
        check_credentials()
    (tmp_path / "netrc").write_text(f"machine {host}\n  login user\n  password {'a' * 40}\n")
    check_credentials()
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    check_credentials()


def test_a_server_that_does_not_answer_is_refused(
    logger_config: Config, description: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_tracker, "INIT_TIMEOUT_SECONDS", 1)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens
    monkeypatch.delenv("WANDB_MODE")
    about = description("first")
    with pytest.raises(UserError) as caught:
        WandbTracker(logger_config("wandb", mode="online"), about)
    assert str(caught.value).startswith("logger.mode (= online): W&B does not start: ")
    assert "\n" not in str(caught.value)
    assert not about.layout.wandb_id.exists()


def test_only_the_first_process_of_several_tells(
    logger_config: Config, description: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    about = description("first")
    with open_tracker(logger_config("wandb"), about) as tracker:
        assert isinstance(tracker, Untracked)
    assert list(about.layout.root.iterdir()) == []


@pytest.mark.parametrize(("kind", "mode"), [("wandb", "disabled"), ("csv", "offline"), ("none", "offline")])
def test_nobody_listens(logger_config: Config, description: Describe, kind: str, mode: str) -> None:
    about = description("first")
    with open_tracker(logger_config(kind, mode=mode), about) as tracker:
        assert isinstance(tracker, Untracked)
        assert tracker.active is False
        tracker.metrics({"ESR": 1.0}, 0)
        tracker.files("model", [], {})
    assert list(about.layout.root.iterdir()) == []
