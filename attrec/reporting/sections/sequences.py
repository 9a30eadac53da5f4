"""The next-item section: what came first and by how much, what the sequences are, and what is recommended."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from attrec.reporting.contents import DatasetReport, SequenceReport
from attrec.reporting.elements import Figure, Section, Table, interval, text
from attrec.reporting.leaderboard import SHOWN, best_first, checked_leaderboard, metric_name
from attrec.reporting.plots import common as plots
from attrec.reporting.plots import sequences as sequence_plots
from attrec.reporting.sections.examples import add_examples
from attrec.reporting.standings import (
    MEASURED,
    definitions,
    forest,
    published_and_ablation,
    standings_table,
    summary,
)

DRAWN = 8  # models in one plot: as many as there are colours
_SAMPLED = "-sampled-"
_BEYOND = (
    "Of what the model of the first seed recommends to each user. Coverage: share of the catalogue that anybody is "
    "recommended. Popularity: training actions of what is recommended, on average. Lift: how much more popular that "
    "is than what users did next; 0.5 is by half, below 0 less popular."
)
_SAMPLED_NOTE = (
    "Each target is ranked not in the whole catalogue but among as many items as the name says, drawn uniformly from "
    "those that the user has not had, the same for every model. Such figures are far higher and can order models "
    "otherwise (Krichene & Rendle 2020): they stand here for comparison with published ones, and nothing is chosen or "
    "claimed by them."
)


def sequence_section(report: SequenceReport, dataset: DatasetReport) -> Section:
    """Lay out the task; `report.leaderboard` must hold the ranking metric.

    Raises:
        DataError: when the leaderboard breaks its schema.
        ValueError: when no row has the ranking metric.
    """
    board = checked_leaderboard(report.leaderboard)
    ranked = best_first(board, report.metric)
    models = ranked["model"].tolist()
    section = Section(
        "sequence",
        "Next-item recommendation",
        summary=[*summary(report, ranked, dataset), *_ceiling(report)],
        facts=_facts(report),
        notes=[*_protocol(report), *_sequences(report)],
        fold=MEASURED,
        tables=[standings_table(report, board, ranked, dataset), *_further_metrics(report, board, models)],
        definitions=definitions(report, models),
        figures=[forest(report, ranked, report.references, "sequence-forest"), *_figures(report, models)],
        further_tables=[*_by_model(report, models), *published_and_ablation(report)],
    )
    headings = {"had": "Did last, the newest first", "next": "Did next", "recommended": "Recommended"}
    add_examples(section, report, "User", headings)
    return section


def _ceiling(report: SequenceReport) -> Iterator[str]:
    if report.metric in report.ceiling:
        yield (
            "Who knew by what probabilities the simulator drew what came next, each user's taste and theme included, "
            f"would reach an {metric_name(report.metric)} of {report.ceiling[report.metric]:.4f}: no model, which has "
            "to guess at these, can expect more."
        )


def _facts(report: SequenceReport) -> dict[str, str]:
    titles = {
        "users": "Users",
        "items": "Items",
        "actions": "Actions",
        "training_actions": "Actions trained on",
        "validation_targets": "Validation targets",
        "test_targets": "Test targets",
    }
    counts = {title: f"{report.counts[name]:,}" for name, title in titles.items() if name in report.counts}
    return ({"Split": report.split} if report.split else {}) | counts


def _protocol(report: SequenceReport) -> Iterator[str]:
    """How the targets were held out, what that leaks, and among what they are ranked."""
    if report.split == "leave-one-out":
        yield (
            "Leave-one-out: each user's last action is the test target, the one before it the validation target, and "
            "the rest is trained on; the test history has the validation target in it. Time leaks: what other users "
            "did after a target is trained on, so what is popular, and what follows what, is known from the future. "
            "The split temporal has no such leak."
        )
    elif report.split == "temporal":
        without = _count(report, "targets_without_history")
        yield (
            "Temporal: everything before one moment is trained on; the targets are each user's first action after it "
            "(validation) and after a later moment (test). No training action is later than a target, so time does "
            f"not leak. Users who were not active then are not scored, nor are {without} targets without a history."
        )
    seen = "but for what the user has had" if report.exclude_seen else "what the user has had included"
    yield (
        f"Each target is ranked in the whole catalogue, {seen}. Equal scores count against the model. There is one "
        "target a user, so HR is recall, and NDCG has an ideal gain of 1."
    )


def _sequences(report: SequenceReport) -> Iterator[str]:
    """Which actions count and in what order, and which targets are out of the ordinary; without counts nothing."""
    if not report.counts:
        return
    lowest, rare = (
        report.actions.get("min_rating"),
        report.counts.get("rows_of_short_users_and_rare_items", 0),
    )
    if lowest is not None:
        below = _count(report, "rows_below_min_rating")
        yield f"Ratings of {lowest:g} and more are actions; {below} lower ones are left out."
    if rare:
        yield (
            f"{rare:,} actions are not trained on: of users with fewer than {report.actions.get('min_length')} actions,"
            f" or of items with fewer than {report.actions.get('min_item_count')} training actions."
        )
    if report.counts.get("users_left_out"):
        yield f"{_count(report, 'users_left_out')} users are left out altogether."
    untimed = report.counts.get("actions_without_timestamp", 0)
    if untimed == report.counts.get("actions"):
        yield "There are no timestamps: actions are in the order of the file."
    else:
        first = f" {untimed:,} actions without a timestamp come first." if untimed else ""
        yield (
            f"Actions are in order of time; {_count(report, 'tied_actions')} bear the timestamp of the user's action "
            "before and follow the order of the file, which decides what the target is for "
            f"{_count(report, 'tied_test_targets')} users of the test and "
            f"{_count(report, 'tied_validation_targets')} of the validation part.{first}"
        )
    missed = ", and a miss as well" if report.exclude_seen else ""
    yield (
        f"{_count(report, 'cold_test_targets')} test targets are items that do not occur in training: a miss for every "
        f"model. {_count(report, 'repeated_test_targets')} are in the user's own history{missed}."
    )


def _count(report: SequenceReport, name: str) -> str:
    return f"{report.counts.get(name, 0):,}"


def _further_metrics(report: SequenceReport, board: pd.DataFrame, models: list[str]) -> Iterator[Table]:
    """The other cut-offs and the sampled metrics, each figure with its interval, folded."""
    others = [name for name in board["metric"].unique() if name not in SHOWN["sequence"]]
    for caption, note, sampled in (
        ("Other cut-offs, whole catalogue, test part", "95% intervals by bootstrap over users.", False),
        ("Sampled metrics, test part: not the whole catalogue", _SAMPLED_NOTE, True),
    ):
        metrics = sorted((name for name in others if (_SAMPLED in name) is sampled), key=_cut_off)
        if not metrics:
            continue
        table = pd.DataFrame({"model": models})
        for metric in metrics:
            rows = board[board["metric"] == metric].set_index("model")
            cells = {
                str(model): f"{text(row['value'])} ({interval(row['ci_low'], row['ci_high'])})"
                for model, row in rows.iterrows()
            }
            table[metric_name(metric)] = table["model"].map(cells).fillna("")
        columns = tuple(str(name) for name in table.columns[1:])
        yield Table(caption, table, folded=True, note=note, unbroken=columns)


def _cut_off(metric: str) -> tuple[int, str]:
    """Sorts by k, then by name: ndcg@5 before ndcg@20."""
    name, _, rest = metric.partition("@")
    k = rest.partition("-")[0]
    return int(k) if k.isdigit() else 0, name


def _by_model(report: SequenceReport, models: list[str]) -> Iterator[Table]:
    if report.beyond is not None and len(report.beyond):
        beyond = _in_order(report.beyond, models)
        yield Table("What is recommended, hit or miss", beyond, note=_BEYOND, decimals=3)
    if report.by_length is not None and len(report.by_length):
        groups = list(dict.fromkeys(report.by_length["group"]))
        wide = report.by_length.pivot(index="model", columns="group", values="value")[groups].reset_index()
        wide.columns.name = None
        caption = f"Test {metric_name(report.metric)} by length of the history"
        yield Table(caption, _in_order(wide, models), folded=True)


def _figures(report: SequenceReport, models: list[str]) -> Iterator[Figure]:
    metric = metric_name(report.metric)
    if report.by_length is not None and len(report.by_length):
        drawn = _in_order(report.by_length, models[:DRAWN])
        of_best = drawn[drawn["model"] == drawn["model"].iloc[0]]
        listed = ", ".join(f"{row.group}: {row.value:.3f}" for row in of_best.itertuples())
        yield Figure.draw(
            sequence_plots.value_by_length(drawn, report.metric),
            "sequence-length",
            f"Test {metric} by length of the history, in groups of about equally many users",
            f"{metric} of {drawn['model'].iloc[0]} by actions in the history: {listed}.",
        )
    if report.curves is not None and len(report.curves):
        trained = set(report.curves["model"])
        drawn = _in_order(report.curves, [model for model in models if model in trained][:DRAWN])
        names = ", ".join(dict.fromkeys(drawn["model"]))
        yield Figure.draw(
            sequence_plots.ranking_curves(drawn, metric_name(report.metric)),
            "sequence-curves",
            f"Training loss, of which each model has its own, and {metric} on validation by epoch; the marker is its "
            "highest value",
            f"Training loss and validation {metric} of {names}.",
        )
    if report.attention is not None and len(report.attention):
        yield _attention(report.attention)


def _attention(rows: pd.DataFrame) -> Figure:
    """The map of one history, and in its description what the newest action attended to."""
    heads = sorted(rows["head"].unique())
    titles = rows.drop_duplicates("query").sort_values("query")["query_title"].astype(str).tolist()
    ordered = rows.sort_values(["head", "query", "key"])
    weights = ordered["weight"].to_numpy(dtype=np.float64).reshape(len(heads), len(titles), len(titles))
    model, block = rows["model"].iloc[0], rows["block"].iloc[0]
    newest = weights[:, -1].mean(axis=0)
    strongest = int(newest.argmax())
    return Figure.draw(
        plots.attention_map(weights, titles),
        "sequence-attention",
        f"What {model} attends to in one user's history (block {block}, the last): each row shares out a weight of 1; "
        "columns are numbered like rows, and what comes next is read from the last row",
        f"Attention of {model} over {len(titles)} actions; the last row attends most to {titles[strongest]}, "
        f"weight {newest[strongest]:.2f} on average over {len(heads)} heads.",
    )


def _in_order(rows: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """The rows of these models, in this order; within a model as they were."""
    place = rows["model"].map({model: number for number, model in enumerate(models)})
    order = place.dropna().sort_values(kind="stable").index
    return rows.loc[order].reset_index(drop=True)
