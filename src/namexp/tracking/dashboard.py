"""A W&B workspace for the runs of a sweep, as code. Every key that a panel names is one of keys.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namexp.errors import UserError, one_line
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.summaries import BEFORE, metrics_of
from namexp.schema.metric import VAL_LOSS, Metric
from namexp.sweeps.origin import logged_as
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
        metrics: of their validations, the headline first.
        costs: whether it is known what the submodels cost.
    """

    project: str | None
    entity: str | None
    group: str | None
    suffixes: tuple[str, ...]
    metrics: tuple[Metric, ...] = BEFORE
    costs: bool = True


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
    summaries = [read_json(RunLayout(run).summary) for run in runs]
    headlines = [metrics_of(summary)[0] for summary in summaries]
    if not all(headline.is_like(headlines[0]) for headline in headlines):
        raise UserError(f"{folder}: its runs learned different things, which have different metrics.")
    entries = [entry for summary in summaries for entry in summary.get("submodels", [])]
    return Runs(
        name.project,
        name.entity,
        name.group,
        tuple(dict.fromkeys(entry.get("metric_suffix", "") for entry in entries)),
        metrics_of(summaries[-1]),
        costs=any(keys.MACS_PER_SAMPLE in entry for entry in entries),
    )


def _jobs(folder: Path) -> list[Path]:
    jobs = (path.parent for path in folder.glob("*/summary.json"))
    return sorted(jobs, key=lambda path: (len(path.name), path.name))  # 2 comes before 10


def build_workspace(
    *,
    entity: str,
    project: str,
    group: str | None,
    suffixes: Sequence[str],
    metrics: Sequence[Metric] = BEFORE,
    costs: bool = True,
) -> ws.Workspace:
    """The dashboard, not saved yet: neither network nor account is needed.

    Args:
        entity: user or team.
        project: where the runs are.
        group: of the runs; None for all of the project.
        suffixes: of their submodels' metrics, from small to large.
        metrics: of their validations, the headline first.
        costs: whether there is a chart of the headline over what a submodel costs.
    """
    filters = [] if group is None else [ws.Metric("Group") == group]
    columns = [f"summary:{keys.exported(metrics[0].name, s)}" for s in suffixes]
    if costs:
        columns += [f"summary:{keys.model_fact(keys.MACS_PER_SAMPLE, s)}" for s in suffixes]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"namexp {group or project}",
        sections=list(_sections(suffixes, metrics, costs=costs)),
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


def _sections(suffixes: Sequence[str], metrics: Sequence[Metric], *, costs: bool) -> Iterator[ws.Section]:
    columns, headline = min(SUBMODELS_IN_A_ROW, max(1, len(suffixes))), metrics[0]
    if costs:
        yield _section("Quality and cost", list(_pareto(suffixes, headline)), columns, opened=True)
    others = [metric for metric in metrics[1:] if metric.tabled]
    for metric in (headline, _like(headline), *others):
        panels = _developments(metric, suffixes)
        yield _section(metric.name, panels, columns, opened=metric is headline)
    training = [(keys.TRAIN_LOSS, True), (keys.LEARNING_RATE, False), (keys.GRADIENT_NORM, True)]
    yield _section("Training", [_line(k, [k], log=log) for k, log in training], 3, opened=True)
    yield _section("Sound", list(_sound(suffixes)), columns)
    yield _section("Pictures", list(_pictures(suffixes)), columns)
    yield _section("Runs compared", [wr.RunComparer(diff_only="split")], 1)


def _like(headline: Metric) -> Metric:
    """val_loss, drawn as the headline is: it is one of the metrics, or near to one."""
    return VAL_LOSS._replace(scale=headline.scale)


def _section(name: str, panels: list[Any], columns: int, *, opened: bool = False) -> ws.Section:
    layout = ws.SectionLayoutSettings(columns=columns, rows=-(-len(panels) // columns))
    return ws.Section(name=name, panels=panels, is_open=opened, layout_settings=layout)


def _pareto(suffixes: Sequence[str], headline: Metric) -> Iterator[Any]:
    # all submodels of all runs are rows of one table; in the other charts a point is a run
    name = headline.name
    yield wr.CustomChart(
        query={"summaryTable": {"tableKey": keys.SUBMODELS}},
        chart_name=SCATTER,
        chart_fields={"x": keys.MACS_PER_SAMPLE, "y": name},
        chart_strings={"title": f"{name} against MACs per sample, every submodel"},
    )
    for suffix in suffixes:
        yield wr.ScatterPlot(
            title=f"{name} against MACs per sample {_shown(suffix)}",
            x=wr.SummaryMetric(keys.model_fact(keys.MACS_PER_SAMPLE, suffix)),
            y=wr.SummaryMetric(keys.exported(name, suffix)),
            log_y=headline.is_logarithmic,
        )


def _developments(metric: Metric, suffixes: Sequence[str]) -> list[Any]:
    together, log = [keys.metric(metric.name, suffix) for suffix in suffixes], metric.is_logarithmic
    panels = [_line(f"{metric.name}, every submodel", together, log=log)] if len(together) > 1 else []
    return panels + [_line(key, [key], log=log) for key in together]


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
