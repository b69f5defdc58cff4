"""Weights & Biases: one run per training, offline unless somebody says otherwise."""

from __future__ import annotations

import logging
import math
import netrc
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb

from namexp.errors import UserError, one_line
from namexp.reading.regular import MEGABYTE, read_text
from namexp.runs.files import finite, write_text
from namexp.runs.layout import RunLayout
from namexp.schema.logger import LoggerConfig
from namexp.tracking import keys
from namexp.tracking.tracker import Clip, RunDescription, Tracker

log = logging.getLogger(__name__)

INIT_TIMEOUT_SECONDS = 10
INTERRUPTED = 130


class WandbTracker(Tracker):
    """One W&B run, independent of any other that this process has open."""

    def __init__(self, config: LoggerConfig, about: RunDescription) -> None:
        """Start the run without ever prompting.

        The run's id lies in the run directory: the same directory is the same run.

        Raises:
            UserError: online without an account, or the server does not answer.
        """
        run_id = _known_id(about.layout)
        super().__init__(continued=run_id is not None)
        if config.mode == "online":
            check_credentials()
        self._folders = _own_folders(about.layout)
        os.environ.update(self._folders)
        try:
            self.run = self._start(config, about, run_id)
        except (wandb.errors.Error, OSError) as error:
            raise UserError(
                f"logger.mode (= {config.mode}): W&B does not start: {one_line(error)}; try again, or use "
                "logger.mode=offline."
            ) from None
        write_text(about.layout.wandb_id, f"{self.run.id}\n")
        self._announce()
        self._define_axes(about)
        self.summarise(about.summary)

    def _start(self, config: LoggerConfig, about: RunDescription, run_id: str | None) -> Any:
        mode: Any = config.mode
        return wandb.init(
            project=config.project,
            entity=config.entity,
            mode=mode,
            name=about.name,
            group=about.group,
            tags=about.tags,
            job_type="train",
            dir=about.layout.root,
            config=finite(about.config),
            id=run_id,
            resume=None if run_id is None else "allow",
            # several trainings of one process are several runs
            reinit="create_new",
            settings=wandb.Settings(
                console="off", silent=True, init_timeout=INIT_TIMEOUT_SECONDS, x_disable_meta=True,
                # commit and versions are in the config; the working directory is none of ours
                disable_git=True, disable_code=True, x_save_requirements=False,
            ),
        )  # fmt: skip

    def _announce(self) -> None:
        folder = Path(self.run.dir).parent  # run.dir is that of its files
        where = f"offline, upload it with: wandb sync {folder}" if self.run.offline else self.run.url
        log.info("W&B run: %s", where)

    def _define_axes(self, about: RunDescription) -> None:
        run = self.run
        run.define_metric(keys.STEP, hidden=True)
        run.define_metric("*", step_metric=keys.STEP)
        # By their full names: offline, W&B 0.31 summarises nothing that a pattern names.
        for metric in about.metrics:
            best = "min" if metric.better == "lower" else "max"
            for suffix in dict.fromkeys(["", *about.suffixes]):
                run.define_metric(keys.metric(metric.name, suffix), step_metric=keys.STEP, summary=best)

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        # one NaN would be the minimum for ever; metrics.csv has it
        row = {key: value for key, value in values.items() if math.isfinite(value)}
        if row:
            self.run.log({**row, keys.STEP: step})

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None:
        media = {
            key: wandb.Audio(clip.samples, sample_rate=clip.sample_rate, caption=clip.caption)
            for key, clip in clips.items()
        }
        self.run.log({**media, keys.STEP: step})

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None:
        media = {key: wandb.Image(str(path)) for key, path in pictures.items()}
        self.run.log({**media, keys.STEP: step})

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        table = wandb.Table(columns=list(columns), data=[list(row) for row in rows])
        self.run.log({key: table, keys.STEP: step})

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Into the run's summary."""
        self.run.summary.update(finite(values))

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        """As an artifact that carries the run's id in its name."""
        artifact = wandb.Artifact(f"{kind}-{self.run.id}", type=kind, metadata=finite(about))
        for path in paths:
            artifact.add_file(str(path))
        self.run.log_artifact(artifact)

    def close(self, error: BaseException | None) -> None:
        """Finish the run; one that an exception ended counts as failed."""
        try:
            if error is None:
                self.run.finish()
                return
            self.summarise({"error": f"{type(error).__name__}: {one_line(error)}"})
            self.run.finish(exit_code=INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)
        finally:
            for name in self._folders:
                os.environ.pop(name, None)


def _own_folders(layout: RunLayout) -> dict[str, str]:
    """Variables for folders that W&B cannot have where it would: it needs them for every file it is given."""
    folders: dict[str, Any] = {
        "WANDB_DATA_DIR": wandb.env.get_data_dir(),
        "WANDB_CACHE_DIR": wandb.env.get_cache_dir(),
    }
    return {
        name: str(layout.root.resolve() / "wandb" / name.lower())
        for name, usual in folders.items()
        if name not in os.environ and not _can_write(Path(usual))
    }


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_credentials(purpose: str = "logger.mode (= online)", instead: str = "logger.mode=offline") -> None:
    """There must be an account to log in with: W&B would ask for one in the middle of things.

    Args:
        purpose: what needs it.
        instead: what does not.

    Raises:
        UserError: neither the environment, nor the settings of W&B, nor a .netrc has a key.
    """
    settings = wandb.setup().settings
    named = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    if settings.api_key or any(os.environ.get(name) for name in named) or _in_netrc(settings.base_url):
        return
    raise UserError(
        f"{purpose}: there is no W&B API key for {settings.base_url}; run `wandb login`, set "
        f"WANDB_API_KEY, or use {instead}."
    )


def _in_netrc(base_url: str) -> bool:
    name = "_netrc" if os.name == "nt" else ".netrc"
    path = Path(os.environ.get("NETRC") or Path.home() / name).expanduser()
    try:
        return netrc.netrc(path).authenticators(urlsplit(base_url).netloc) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _known_id(layout: RunLayout) -> str | None:
    """The id of the run that this directory has begun, if it has."""
    if not layout.wandb_id.exists():
        return None
    run_id = read_text(layout.wandb_id, MEGABYTE).strip()
    if not re.fullmatch(r"[\w-]{1,64}", run_id, re.ASCII):
        raise UserError(
            f"{layout.wandb_id} (= '{run_id[:64]}'): is no W&B run id; delete the file to begin a "
            "new W&B run."
        )
    return run_id
