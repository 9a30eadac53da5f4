"""What a report is made from: plain values and small tables that a pipeline fills in.

Everything that may be absent has a default; the page leaves out what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pandas as pd

from attrec.prepare.cleaning import CleaningReport
from attrec.reporting.tuned import Found


@dataclass(frozen=True)
class DatasetReport:
    """The data a report stands on, and what was done to it."""

    name: str
    """Registry name, such as "ml-100k"."""
    title: str
    """For people: "MovieLens 100K"."""
    version: str = ""
    """Hash of the data as trained on (the DVC md5); empty where no DVC stage made them: splits have hashes."""
    noun: str = "item"
    """What an item is: "film", "song", "book"."""
    nouns: str = "items"
    simulated: bool = False
    """Drawn from the generative model: every page that shows results says so."""
    cleaning: CleaningReport | None = None
    expectations: pd.DataFrame | None = None
    """One row a validation expectation: table, column, expectation, severity ("error" or "warning"), checked,
    unexpected, success (bool)."""
    quarantined: int | None = None
    """Rows that failed validation and were set aside."""
    distributions: pd.DataFrame | None = None
    """variable, value, before, after: see `attrec.reporting.distributions`."""
    remarks: tuple[str, ...] = ()
    """What the reader should know of the data beside all this."""
    split: str = ""
    """Name of the split, such as "u1"."""
    split_hash: str = ""
    split_sizes: pd.DataFrame | None = None
    """part, ratings, users, items."""


@dataclass(frozen=True)
class Earlier:
    """The figures that the last committed run had of a task, of the same dataset and split."""

    commit: str
    """That has committed them."""
    leaderboard: pd.DataFrame
    """model, metric, value."""
    same_data: bool
    """Whether they are of the same data to the byte."""


@dataclass(frozen=True)
class TaskReport:
    """What the section of every task begins with: measured figures, and what they are held against."""

    counted: ClassVar[str]
    """What a figure is the mean over."""

    leaderboard: pd.DataFrame
    """Rows of the leaderboard schema (`attrec.reporting.leaderboard`), test part, one dataset and split."""
    comparisons: pd.DataFrame | None = None
    """Paired tests against the best, as `attrec.metrics.intervals.compare_to_best` gives them."""
    champion: str | None = None
    """The model chosen on validation (never by the figures of this page)."""
    metric: str = ""
    """The metric that ranks; each task has its own."""
    noise_floor: float | None = None
    """The best value of `metric` that any model could reach; known for ratings of simulated data only."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """Model → one sentence that says what it is, baselines included."""
    references: pd.DataFrame | None = None
    """model, value of `metric`, note, and perhaps other metrics by name: published figures of the same split."""
    ablation: pd.DataFrame | None = None
    """Any columns: what each choice of the recipe contributed, on validation."""
    users: int | None = None
    """Of whom the figures are; None where a figure is a mean over them, so that each row counts them."""
    costs: pd.DataFrame | None = None
    """model, numbers, counted ("trained" or "stored"), megabytes, cpu_seconds of its fit; missing where not known."""
    examples: pd.DataFrame | None = None
    """What one model recommends to a few: model, whose, side ("had", "next", "recommended"), rank, title, artist,
    rating, found."""
    decision: str = ""
    """What became of the model that validation chose: whether it is the champion now."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Model → address of its run, where a server shows it."""
    earlier: Earlier | None = None


@dataclass(frozen=True)
class RatingReport(TaskReport):
    """The rating-prediction task: measured figures, and the small tables its plots are drawn from."""

    counted: ClassVar[str] = "ratings"

    metric: str = "rmse"
    curves: pd.DataFrame | None = None
    """model, epoch, train, validation (masked RMSE)."""
    importance: pd.DataFrame | None = None
    """feature, importance."""
    user_activity: pd.DataFrame | None = None
    """As `attrec.metrics.activity.error_by_activity`, and optionally model."""
    item_activity: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    """As `attrec.metrics.calibration.calibration`, of the champion."""
    predictions: pd.DataFrame | None = None
    """As `attrec.metrics.calibration.predictions_by_rating`, of the champion."""
    dimensions: pd.DataFrame | None = None
    """side, dimension, loss (Fig. 4A)."""
    convergence: pd.DataFrame | None = None
    """side, model, epoch, validation (Fig. 4B)."""
    grid: pd.DataFrame | None = None
    """n_estimators and other parameters, rmse, and optionally published (Table II)."""


@dataclass(frozen=True)
class SequenceReport(TaskReport):
    """The next-item task: measured figures, what the sequences are, and the small tables its plots are drawn from."""

    counted: ClassVar[str] = "users"

    metric: str = "ndcg@10"
    split: str = ""
    """"leave-one-out" or "temporal"; the page says what each of them leaks."""
    split_hash: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    """As `attrec.prepare.sequence_splits.SequenceSplit.summary`."""
    actions: Mapping[str, Any] = field(default_factory=dict)
    """Which actions count: the fields of `attrec.prepare.sequence_splits.SequenceConfig`."""
    exclude_seen: bool = True
    """Whether what a user has done before is out of the ranking."""
    ceiling: Mapping[str, float] = field(default_factory=dict)
    """By metric, the best that could be expected; known of simulated actions only."""
    beyond: pd.DataFrame | None = None
    """model, coverage@10, popularity@10, popularity-lift@10."""
    by_length: pd.DataFrame | None = None
    """model, group (lengths of the history, in order), users, value of `metric`."""
    curves: pd.DataFrame | None = None
    """model, epoch, train, validation (1 - `metric`)."""
    attention: pd.DataFrame | None = None
    """model, block, head, query, key (positions from 0), query_title, key_title, weight: of one history."""


@dataclass(frozen=True)
class PlaylistReport(TaskReport):
    """The playlist task: measured figures, what a playlist is, and what its plots are drawn from."""

    counted: ClassVar[str] = "playlists"

    metric: str = "ndcg@10"
    kind: Literal["songs", "likes"] = "songs"
    """Whether there are playlists of songs, or what somebody liked is taken for one."""
    min_rating: float | None = None
    """From which rating on an item is liked; None where nobody rates."""
    split: str = ""
    split_hash: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    """As `attrec.prepare.playlist_splits.PlaylistSplit.summary`."""
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    """As `attrec.prepare.songs.TableCleaner.report`."""
    ceiling: Mapping[str, float] = field(default_factory=dict)
    """By metric, the best that could be expected; known of simulated playlists only."""
    beyond: pd.DataFrame | None = None
    """model, coverage@10, popularity@10."""
    clusterings: pd.DataFrame | None = None
    """model, chosen, and the fields of `attrec.playlists.clusters.Quality`: what was tried; or with fold for chosen,
    what was chosen in each."""
    curves: pd.DataFrame | None = None
    """model, epoch, train, validation (1 - `metric`)."""
    before: pd.DataFrame | None = None
    """A column a number of the songs, as they came."""
    after: pd.DataFrame | None = None
    """The same when clean."""
    example: pd.DataFrame | None = None
    """model, title, artist, and of `attrec.playlists.ars.ARS.explain` weight and attention: of one playlist."""
    recommended: pd.DataFrame | None = None
    """rank, title, artist, distance, held_out."""
    map: pd.DataFrame | None = None
    """role, cluster, and the point, a column a dimension: of each song, and last of the centroid."""


@dataclass(frozen=True)
class Provenance:
    """What it takes to make the same figures again."""

    git_commit: str
    git_dirty: bool
    """Whether the working tree held changes that no commit has."""
    seeds: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    """Nested parameters; shown as dotted names."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package → version; Python and the machine too."""
    runs: Mapping[str, str] = field(default_factory=dict)
    """Model or flow → run id in the tracking store."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Model or flow → address of its run, where a server shows it."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Artefact → hash."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Step → seconds."""


@dataclass(frozen=True)
class ReportData:
    """A whole report; each task that was run has a section."""

    dataset: DatasetReport
    provenance: Provenance
    rating: RatingReport | None = None
    sequence: SequenceReport | None = None
    playlist: PlaylistReport | None = None
    tuning: tuple[tuple[Found, pd.DataFrame], ...] = ()
    """Searches for better configurations on these data, and their trials (see `attrec.reporting.tuned`)."""


@dataclass(frozen=True)
class ComparisonReport:
    """Models compared on several splits of one dataset: a published table of ours, and what it is held against."""

    name: str
    """Of the table: "cil" is results/cil/."""
    dataset: DatasetReport
    provenance: Provenance
    leaderboard: pd.DataFrame
    """Rows of the leaderboard schema: of `split`, and of single splits where each is a row of its own."""
    split: str
    """What the splits together are called: "cv10", "u1-u5"; it ranks."""
    tested: str
    """The split that the paired tests are of: the same, or a single one."""
    comparisons: pd.DataFrame
    """As `attrec.metrics.intervals.compare_to_best`; models with and without timestamps among themselves."""
    models: pd.DataFrame
    """model, parameters, counted, cpu_seconds, seconds, common_epoch, common_epoch_rmse, expected_calibration_error,
    log_loss; missing where not known."""
    by_split: pd.DataFrame
    """model, split, value of RMSE (mean over seeds)."""
    splits: pd.DataFrame
    """split, train, validation, test (ratings), hash."""
    published: pd.DataFrame | None = None
    """split, model, metric, value, source; models under our names where we have them."""
    class_bins: pd.DataFrame | None = None
    """model, rating, low, high, predicted, observed, ratings."""
    ablation: pd.DataFrame | None = None
    """As in `RatingReport`."""
