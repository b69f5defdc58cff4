"""What a report knows of runs: plain records, with None for whatever a run does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from namexp.comparison.charts import Chart
from namexp.comparison.columns import Drawn, Filled
from namexp.comparison.declared import USUAL, USUAL_COSTS, Clip, Words
from namexp.comparison.findings import Finding
from namexp.runs.states import UNKNOWN
from namexp.runs.summaries import BEFORE
from namexp.schema.metric import Metric

# A config with dotted keys; a list is one value.
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Submodel:
    """One size of a run's model.

    Attributes:
        index: from small to large.
        name: for people.
        suffix: of its columns in metrics.csv, such as ``_packed_0``.
        channels: as text.
        parameters: number of weights.
        macs: multiply-accumulates per sample.
        figures: of the validation part, by the names of the run's metrics; those that are there.
        val_loss: that selected its weights.
        best_epoch: where they come from, counted from 0.
        realtime_factor: seconds of audio per second of computation, as summary.json measured it.
        facts: whatever else the run declares to be known of it, as text.
        costs: what it is drawn against, each the less the better: positive numbers by name.
    """

    index: int
    name: str
    suffix: str = ""
    channels: str | None = None
    parameters: int | None = None
    macs: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    val_loss: float | None = None
    best_epoch: int | None = None
    realtime_factor: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One run directory, a job that a sweep has not begun, or a log of another program.

    Attributes:
        root: the directory; for a missing job the one it would have, for a log its file.
        label: unique on the page.
        state: a word of ``runs.states``; of a log that of ``foreign``.
        reason: why it is in it, where that needs a word.
        settings: the config with dotted keys, and the chosen option of each group by its name.
        config: the config as it is nested; empty where there is none.
        overrides: what followed ``namexp.train``; None where that was not kept.
        flags: of that command line, which say where else Hydra looked for YAML files.
        cwd: the directory it was started in, to which relative paths refer.
        seed: of the config.
        training_id: that runs share whose weights must be the same.
        reused_from: the run whose training this one took over, as summary.json says it.
        metrics: of its validation, the headline first.
        group: that runs share which differ in nothing but the seed; None without a config.
        receptive_field: R in samples.
        sample_rate: Hz.
        seconds_training: of the training that it did or took over.
        epochs: that were finished.
        steps: batches learned from.
        cpu_seconds_training: of the training's first process, on all of its cores; None where several did it.
        max_minutes: that the training was given; None: its length was said otherwise.
        started: ISO 8601.
        submodels: from small to large; empty before there is a summary.
        max_values: thresholds of the quality knob, the last is 1.0; None where there is no knob.
        curves: metric to (epoch, value) points, epochs counted from 1.
        words: how its task calls what is shown.
        costs: names of its submodels' costs, the most telling first.
        figures: of its columns, that it declares, with their lines.
        charts: that it declares with their values.
        tables: that it declares, with their values.
        clips: to hear and to see.
        diagnosis: what its columns say is wrong with it.
        damages: files that could not be read, one line each.
    """

    root: Path
    label: str
    state: str = UNKNOWN
    reason: str | None = None
    settings: Settings = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] | None = None
    flags: tuple[str, ...] = ()
    cwd: str | None = None
    seed: int | None = None
    training_id: str | None = None
    reused_from: str | None = None
    metrics: tuple[Metric, ...] = BEFORE
    group: str | None = None
    receptive_field: int | None = None
    sample_rate: int | None = None
    seconds_training: float | None = None
    epochs: int | None = None
    steps: int | None = None
    cpu_seconds_training: float | None = None
    max_minutes: float | None = None
    started: str | None = None
    submodels: tuple[Submodel, ...] = ()
    max_values: tuple[float, ...] | None = None
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    words: Words = USUAL
    costs: tuple[str, ...] = USUAL_COSTS
    figures: tuple[Drawn, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Filled, ...] = ()
    clips: tuple[Clip, ...] = ()
    diagnosis: tuple[Finding, ...] = ()
    damages: tuple[str, ...] = ()

    @property
    def headline(self) -> Metric:
        """What it is ranked by."""
        return self.metrics[0]

    def figure(self, index: int) -> float | None:
        """The headline of one size; None where it is not known."""
        return self.submodels[index].figures.get(self.headline.name)
