"""A W&B workspace for the runs of a sweep, as code. Every key that a panel names is one of keys.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namexp.errors import UserError, one_line
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.sweeps.job import logged_as
from namexp.tracking import keys

try:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws
except ImportError:  # the rest of namexp needs no dashboards
    raise UserError(
        "dashboards need wandb-workspaces, which is not installed; pip install 'namexp[dashboards]'."
    ) from None

MAX_RUNS = 100  # lines per panel; W&B's own choice is 10
SUBMODELS_IN_A_ROW = 3
SCATTER = "wandb/scatter/v0"  # W&B's own chart of two columns of a table


@dataclass(frozen=True)
class Runs:
    """Which runs a dashboard shows.

    Attributes:
        project: that they are in; None: not known.
        entity: that the project belongs to; None: not known.
        group: of the runs; None for all of the project.
        suffixes: of their submodels' metrics, from small to large.
    """

    project: str | None
    entity: str | None
    group: str | None
    suffixes: tuple[str, ...]


def packed_suffixes(submodels: int) -> tuple[str, ...]:
    """Of the metrics of packs with up to so many submodels."""
    return tuple(f"_packed_{i}" for i in range(submodels))


def runs_in(folder: Path) -> Runs:
    """What a run directory or a sweep directory holds.

    Raises:
        UserError: no finished run is there, or its runs do not belong together.
    """
    runs = [folder] if RunLayout(folder).summary.exists() else _jobs(folder)
    if not runs:
        raise UserError(f"{folder}: holds no summary.json, nor does a directory in it; give a finished run.")
    names = {logged_as(run) for run in runs}
    if len(names) > 1:
        found = "; ".join(sorted(map(str, names)))
        raise UserError(
            f"{folder}: its runs were logged under several names ({found}); give --project, --group and "
            "--submodels instead."
        )
    (name,) = names
    entries = [entry for run in runs for entry in read_json(RunLayout(run).summary)["submodels"]]
    suffixes = dict.fromkeys(entry["metric_suffix"] for entry in entries)
    return Runs(name.project, name.entity, name.group, tuple(suffixes))


def _jobs(folder: Path) -> list[Path]:
    jobs = (path.parent for path in folder.glob("*/summary.json"))
    return sorted(jobs, key=lambda path: (len(path.name), path.name))  # 2 comes before 10


def build_workspace(*, entity: str, project: str, group: str | None, suffixes: Sequence[str]) -> ws.Workspace:
    """The dashboard, not saved yet: neither network nor account is needed.

    Args:
        entity: user or team.
        project: where the runs are.
        group: of the runs; None for all of the project.
        suffixes: of their submodels' metrics, from small to large.
    """
    filters = [] if group is None else [ws.Metric("Group") == group]
    columns = [f"summary:{keys.exported('ESR', s)}" for s in suffixes]
    columns += [f"summary:{keys.model_fact(keys.MACS_PER_SAMPLE, s)}" for s in suffixes]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"namexp {group or project}",
        sections=list(_sections(suffixes)),
        settings=ws.WorkspaceSettings(x_axis=keys.STEP, max_runs=MAX_RUNS),
        runset_settings=ws.RunsetSettings(filters=filters, pinned_columns=columns),
    )


def specification(workspace: ws.Workspace) -> dict[str, Any]:
    """What would be sent to W&B: plain values."""
    model = workspace._to_model()
    found = model.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert isinstance(found, dict)
    return found


def save(workspace: ws.Workspace) -> str:
    """Create the workspace at W&B; its address.

    Raises:
        UserError: there is no account, no such project, or W&B does not answer.
    """
    from namexp.tracking.wandb_tracker import check_credentials

    check_credentials("the dashboard", instead="--dry-run")
    try:
        workspace.save()
    except Exception as error:  # GraphQL, HTTP and W&B have many kinds
        raise UserError(
            f"{workspace.entity}/{workspace.project}: W&B does not take the dashboard: {one_line(error)}; "
            "check --entity and --project, or look at it with --dry-run."
        ) from None
    return str(workspace.url)


# --- sections -------------------------------------------------------------------------------------


def _sections(suffixes: Sequence[str]) -> Iterator[ws.Section]:
    columns = min(SUBMODELS_IN_A_ROW, max(1, len(suffixes)))
    yield _section("Quality and cost", list(_pareto(suffixes)), columns, opened=True)
    for name in ("ESR", "val_loss", "MRSTFT"):
        yield _section(name, _developments(name, suffixes), columns, opened=name == "ESR")
    training = [(keys.TRAIN_LOSS, True), (keys.LEARNING_RATE, False), (keys.GRADIENT_NORM, True)]
    yield _section("Training", [_line(k, [k], log=log) for k, log in training], 3, opened=True)
    yield _section("Sound", list(_sound(suffixes)), columns)
    yield _section("Pictures", list(_pictures(suffixes)), columns)
    yield _section("Runs compared", [wr.RunComparer(diff_only="split")], 1)


def _section(name: str, panels: list[Any], columns: int, *, opened: bool = False) -> ws.Section:
    layout = ws.SectionLayoutSettings(columns=columns, rows=-(-len(panels) // columns))
    return ws.Section(name=name, panels=panels, is_open=opened, layout_settings=layout)


def _pareto(suffixes: Sequence[str]) -> Iterator[Any]:
    # all submodels of all runs are rows of one table; in the other charts a point is a run
    yield wr.CustomChart(
        query={"summaryTable": {"tableKey": keys.SUBMODELS}},
        chart_name=SCATTER,
        chart_fields={"x": keys.MACS_PER_SAMPLE, "y": "ESR"},
        chart_strings={"title": "ESR against MACs per sample, every submodel"},
    )
    for suffix in suffixes:
        yield wr.ScatterPlot(
            title=f"ESR against MACs per sample {_shown(suffix)}",
            x=wr.SummaryMetric(keys.model_fact(keys.MACS_PER_SAMPLE, suffix)),
            y=wr.SummaryMetric(keys.exported("ESR", suffix)),
            log_y=True,
        )


def _developments(name: str, suffixes: Sequence[str]) -> list[Any]:
    together = [keys.metric(name, suffix) for suffix in suffixes]
    panels = [_line(f"{name}, every submodel", together, log=True)] if len(together) > 1 else []
    return panels + [_line(key, [key], log=True) for key in together]


def _line(title: str, metrics: Sequence[str], *, log: bool) -> Any:
    return wr.LinePlot(title=title, x=keys.STEP, y=list(metrics), log_y=log, max_runs_to_show=MAX_RUNS)


def _sound(suffixes: Sequence[str]) -> Iterator[Any]:
    yield wr.MediaBrowser(title="Recording", media_keys=[keys.AUDIO_INPUT, keys.AUDIO_TARGET])
    for suffix in suffixes:
        media = [keys.prediction(suffix), keys.difference(suffix)]
        yield wr.MediaBrowser(title=f"Prediction and difference {_shown(suffix)}", media_keys=media)


def _pictures(suffixes: Sequence[str]) -> Iterator[Any]:
    yield wr.MediaBrowser(title="Comparison", media_keys=[keys.COMPARISON])
    for suffix in suffixes:
        yield wr.MediaBrowser(title=f"Spectrogram {_shown(suffix)}", media_keys=[keys.spectrogram(suffix)])


def _shown(suffix: str) -> str:
    return suffix.lstrip("_").replace("_", " ")
