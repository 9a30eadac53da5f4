"""Measured tables as Markdown: of one kind of model each, best first, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attrec.reporting.leaderboard import metric_name, uses_time
from attrec.shown import as_markdown

TIMED = "With timestamps, which show bursts of ratings on both sides of the target:"


def board(rows: pd.DataFrame, mean: pd.DataFrame | None = None) -> str:
    """RMSE and MAE with intervals, best first, of one split.

    Args:
        rows: In the columns of the leaderboard.
        mean: Likewise, of the mean over several splits: two columns more.
    """
    rmse = rows[rows["metric"] == "rmse"].sort_values("value").to_dict("records")
    mae = {row["model"]: row["value"] for row in rows[rows["metric"] == "mae"].to_dict("records")}
    head, rule = "| model | RMSE | 95 % interval (users) | MAE | seeds |", "|---|---|---|---|---|"
    means = {}
    if mean is not None and len(mean):
        split = mean["split"].iloc[0]
        head, rule = (
            f"{head} mean over {split.replace('-', '–')} | 95 % interval (users) |",
            f"{rule}---|---|",
        )
        means = {row["model"]: row for row in mean[mean["metric"] == "rmse"].to_dict("records")}
    lines = [head, rule]
    for row in rmse:
        figures = f"{row['value']:.4f} | {interval(row)} | {mae[row['model']]:.4f} | {row['seeds']}"
        own = means.get(row["model"])
        further = (
            "" if not means else " |  |  |" if own is None else f" {own['value']:.4f} | {interval(own)} |"
        )
        lines.append(f"| `{row['model']}` | {figures} |{further}")
    return "\n".join(lines)


def families(rows: pd.DataFrame, split: str | None = None, mean: str | None = None) -> str:
    """The table of models without timestamps, and below it that of models with timestamps, if there are any."""
    timed = rows["model"].map(uses_time)
    own = pd.Series(True, index=rows.index) if split is None else rows["split"] == split
    parts = []
    for family in (~timed, timed):
        table = rows[own & family]
        if len(table):
            parts.append(board(table, None if mean is None else rows[(rows["split"] == mean) & family]))
    return f"\n\n{TIMED}\n\n".join(parts)


def next_items(rows: pd.DataFrame) -> str:
    """NDCG@10 with its interval, hit rate and MRR, best first, of one split."""
    values = rows.pivot(index="model", columns="metric", values="value")
    lines = [
        "| model | NDCG@10 | 95 % interval (users) | HR@10 | MRR@10 | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows[rows["metric"] == "ndcg@10"].sort_values("value", ascending=False).to_dict("records"):
        others = " | ".join(f"{values.loc[row['model'], metric]:.4f}" for metric in ("hr@10", "mrr@10"))
        lines.append(
            f"| `{row['model']}` | {row['value']:.4f} | {interval(row)} | {others} | {row['seeds']} |"
        )
    return "\n".join(lines)


def songs(rows: pd.DataFrame, known: pd.DataFrame | None = None) -> str:
    """NDCG@10 with its interval, R-precision and recall, best first, of one data set; a word without any row.

    Args:
        known: Rows of figures of known songs alone: one column more.
    """
    if rows.empty:
        return "Not measured yet: `make reproduce`."
    values = rows.pivot(index="model", columns="metric", values="value")
    head, rule = (
        "| model | NDCG@10 | 95 % interval (playlists) | R-precision | Recall@50 | seeds |",
        "|---|---|---|---|---|---|",
    )
    of_known: dict[str, str] = {}
    if known is not None:
        ndcg = known[known["metric"] == "ndcg@10"]
        head, rule = f"{head} NDCG@10, known songs ({ndcg['n'].iloc[0]:,} playlists) |", f"{rule}---|"
        of_known = {row["model"]: f" {row['value']:.4f} |" for row in ndcg.to_dict("records")}
    lines = [head, rule]
    for row in rows[rows["metric"] == "ndcg@10"].sort_values("value", ascending=False).to_dict("records"):
        others = " | ".join(
            f"{values.loc[row['model'], metric]:.4f}" for metric in ("r-precision", "recall@50")
        )
        lines.append(
            f"| `{row['model']}` | {row['value']:.4f} | {interval(row)} | {others} | {row['seeds']} |"
            f"{of_known.get(row['model'], '')}"
        )
    return "\n".join(lines)


def published(rows: pd.DataFrame, measured: pd.DataFrame, facts: pd.DataFrame) -> str:
    """Published beside measured RMSE, and what one common epoch gives where that is known.

    Args:
        rows: model, value.
        measured: Leaderboard rows of the same split.
        facts: model, common_epoch, common_epoch_rmse.
    """
    ours = measured[measured["metric"] == "rmse"].set_index("model")
    epochs = facts.dropna(subset="common_epoch").set_index("model")
    one_epoch = bool(rows["model"].isin(epochs.index).any())
    lines = [
        "| model | published | measured | 95 % interval (users) | measured − published |",
        "|---|---|---|---|---|",
    ]
    if one_epoch:
        lines = [f"{lines[0]} one common epoch |", f"{lines[1]}---|"]
    for row in rows.to_dict("records"):
        model = row["model"]
        if model in ours.index:
            own = ours.loc[model].to_dict()
            behind = signed(own["value"] - row["value"])
            figures = f"{own['value']:.4f} | {interval(own)} | {behind} |"
        else:
            figures = " |  |  |"
        if one_epoch:
            known = epochs.loc[model].to_dict() if model in epochs.index else None
            figures += (
                "  |"
                if known is None
                else f" {known['common_epoch_rmse']:.4f} (epoch {known['common_epoch']:.0f}) |"
            )
        lines.append(f"| `{model}` | {row['value']:.4f} | {figures}")
    return "\n".join(lines)


def published_items(results: Path, dataset: str) -> str:
    """NDCG@10 and HR@10 that others have published of a data set, best first, and where; nothing if there is none."""
    file = results / "published.csv"
    known = pd.read_csv(file).query("dataset == @dataset") if file.is_file() else pd.DataFrame()
    if known.empty:
        return ""
    rows = known.pivot(index=["model", "source"], columns="metric", values="value").reset_index()
    lines = ["| published | NDCG@10 | HR@10 | source |", "|---|---|---|---|"]
    for row in rows.sort_values("ndcg@10", ascending=False).to_dict("records"):
        lines.append(f"| {row['model']} | {row['ndcg@10']:.3f} | {row['hr@10']:.3f} | {row['source']} |")
    return "\n".join(lines)


def ablation(file: Path, metric: str = "validation RMSE") -> str:
    """The figure of each step, and how far it is from that of the step it was tested against."""
    lines = [f"| step | {metric} | 95 % interval (users) | difference |", "|---|---|---|---|"]
    for row in pd.read_csv(file).to_dict("records"):
        difference = "reference"
        if pd.notna(row["difference"]):
            difference = f"{signed(row['difference'])} (p = {row['p']:.3f})"
        lines.append(f"| {row['step']} | {row['value']:.4f} | {interval(row)} | {difference} |")
    return "\n".join(lines)


def gains(file: Path) -> str:
    """What searches gained on validation, and on test once, the best configuration beside the one that each began from;
    a word if that was never measured."""
    if not file.is_file():
        return "Not measured yet."
    head = "| data, model | budget | trials | validation | test | difference on test |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in pd.read_csv(file).to_dict("records"):
        metric = metric_name(row["metric"])
        pruned = f", {row['pruned']} pruned" if row["pruned"] else ""
        used = f"{row['budget']} ({row['cpu_minutes']:.1f} used)"
        between = f"{signed(row['ci_low'])} to {signed(row['ci_high'])}"
        lines.append(
            f"| `{row['dataset']}`, `{row['model']}` | {used} | {row['trials']}{pruned} "
            f"| {metric} {row['validation_start']:.4f} → {row['validation_best']:.4f} "
            f"| {row['test_start']:.4f} → {row['test_best']:.4f} "
            f"| {signed(row['difference'])} ({between}; p = {row['p']:.3f}) |"
        )
    return "\n".join(lines)


def side_by_side(steps: pd.DataFrame) -> str:
    """The steps of an ablation, a column a data set."""
    datasets = list(steps["dataset"].unique())
    counts = steps.groupby("dataset")["n"].first()
    heads = [f"`{dataset}` ({counts[dataset]} playlists)" for dataset in datasets]
    lines = [f"| step | {' | '.join(heads)} |"]
    lines.append("|---" * (len(datasets) + 1) + "|")
    figures = {(row["step"], row["dataset"]): row for row in steps.to_dict("records")}
    for step in steps["step"].unique():
        shown = []
        for dataset in datasets:
            row = figures[step, dataset]
            test = "" if pd.isna(row["difference"]) else f" ({row['p']:.3f})"
            shown.append(f"{row['value']:.4f}{test}")
        lines.append(f"| {step} | {' | '.join(shown)} |")
    return "\n".join(lines)


def by_seed(file: Path, metric: str = "rmse") -> str:
    """Mean and standard deviation over the seeds of each model that has several."""
    rows = pd.read_csv(file)
    of_metric = rows[rows["metric"] == metric].groupby("model", sort=False)["value"]
    parts = [
        f"`{model}` {values.mean():.4f} ± {values.std(ddof=1):.4f}"
        for model, values in of_metric
        if len(values) > 1
    ]
    return f"{metric.upper()}, mean ± standard deviation over seeds: {', '.join(parts)}."


def listed(file: Path) -> str:
    """The first titles that each model recommends, a column a model."""
    titles = pd.read_csv(file).pivot(index="rank", columns="model", values="title").head(5)
    models = pd.read_csv(file)["model"].unique()
    lines = [f"|  | {' | '.join(f'`{model}`' for model in models)} |", "|---" * (len(models) + 1) + "|"]
    for rank, row in titles.iterrows():
        lines.append(f"| {rank} | {' | '.join(as_markdown(row[model]) for model in models)} |")
    return "\n".join(lines)


def signed(difference: float) -> str:
    """+0.0123, −0.0123."""
    return f"{difference:+.4f}".replace("-", "−")


def interval(row: Mapping[Any, Any]) -> str:
    """0.0123 – 0.0456, of ci_low and ci_high."""
    return f"{row['ci_low']:.4f} – {row['ci_high']:.4f}"
