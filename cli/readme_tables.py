"""Write the measured tables into README.md and the pages of results/ from results/*.csv: no figure is typed by hand.

Run by `make readme`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attrec.reporting.leaderboard import uses_time
from tasks.imports import SOURCE_ROOT

TIMED = "With timestamps, which show bursts of ratings on both sides of the target:"

HEADLINES = {
    "ml-100k": ("u1", "rmse", "ratings.md"),
    "cil": ("cv10", "rmse", "ratings.md"),
    "ml-1m-sequences": ("leave-one-out", "ndcg@10", "sequences.md"),
    "spotify-playlists": ("cv5", "ndcg@10", "playlists.md"),
}
"""Of each table: the split, the metric and the page that explains it."""

TITLES = {
    "ml-100k": "MovieLens-100K, split u1",
    "cil": "ETH CIL, ten folds",
    "ml-1m-sequences": "ML-1M, what comes next",
    "spotify-playlists": "Songs of Spotify playlists",
    "simulated-playlists": "Simulated playlists",
    "ml-latest-small": "Liked films as playlists",
}

PLAYLIST_DATA = {
    "spotify-playlists": "Songs of Spotify playlists",
    "simulated-playlists": "Simulated songs and playlists",
    "ml-latest-small": "Films that users of MovieLens latest-small rated 4 or better",
}


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
        figures = f"{row['value']:.4f} | {_interval(row)} | {mae[row['model']]:.4f} | {row['seeds']}"
        own = means.get(row["model"])
        further = (
            "" if not means else " |  |  |" if own is None else f" {own['value']:.4f} | {_interval(own)} |"
        )
        lines.append(f"| `{row['model']}` | {figures} |{further}")
    return "\n".join(lines)


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
            f"| `{row['model']}` | {row['value']:.4f} | {_interval(row)} | {others} | {row['seeds']} |"
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
            f"| `{row['model']}` | {row['value']:.4f} | {_interval(row)} | {others} | {row['seeds']} |"
            f"{of_known.get(row['model'], '')}"
        )
    return "\n".join(lines)


def playlists(results: Path) -> str:
    """A table a data set, and how far the best model is ahead of the next; a word if it was never measured."""
    file = results / "spotify-playlists.csv"
    if not file.is_file():
        return "Not measured yet: `make results-playlists`."
    measured, tests = pd.read_csv(file), pd.read_csv(results / "spotify-playlists-comparisons.csv")
    known_file = results / "spotify-playlists-known.csv"
    known = pd.read_csv(known_file) if known_file.is_file() else None
    ceiling = results / "spotify-playlists-ceiling.csv"
    possible = pd.read_csv(ceiling).to_dict("records") if ceiling.is_file() else []
    best_possible = {row["dataset"]: row["value"] for row in possible if row["metric"] == "ndcg@10"}
    parts = []
    for dataset, title in PLAYLIST_DATA.items():
        rows = measured[measured["dataset"] == dataset]
        if rows.empty:
            continue
        own = tests[(tests["dataset"] == dataset) & (tests["metric"] == "ndcg@10")]
        of_known = None if known is None else known[known["dataset"] == dataset]
        title += f" (`{dataset}`), {rows['n'].iloc[0]:,} playlists:"
        parts += [title, songs(rows, of_known), _lead(own)]
        if dataset in best_possible:
            possible_ndcg = best_possible[dataset]
            parts.append(
                f"Who knows by what chances these playlists were drawn would reach an NDCG@10 of {possible_ndcg:.4f}."
            )
    steps = results / "spotify-playlists-ablation.csv"
    if steps.is_file():
        parts += [
            "What each choice of `ars-full` gives (NDCG@10 on the validation playlists of all folds, on which the "
            "epochs were chosen too, without those that recipes were chosen on; one seed; in brackets p of the paired "
            "test against the first row). What one fold validates on others test, so no recipe may be chosen by it:",
            side_by_side(pd.read_csv(steps)),
        ]
    return "\n\n".join(parts)


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


def _lead(tests: pd.DataFrame) -> str:
    """By how much the best model is ahead of the nearest other one."""
    nearest = tests.sort_values("difference", ascending=False).to_dict("records")[0]
    p = "p < 0.001" if nearest["p_adjusted"] < 0.001 else f"p = {nearest['p_adjusted']:.3f}"
    return (
        f"`{nearest['reference']}` is ahead of `{nearest['model']}` by {-nearest['difference']:.4f} "
        f"({-nearest['ci_high']:.4f} – {-nearest['ci_low']:.4f}, {p}, paired over playlists)."
    )


def sequences(results: Path, name: str, command: str) -> str:
    """A table of sequence models, with the spread over seeds, what was published of others, what each choice gave and
    what they recommend behind an example, as far as there are these; a word if it was never measured."""
    file = results / f"{name}.csv"
    if not file.is_file():
        return f"Not measured yet: `{command}`."
    parts = [next_items(pd.read_csv(file)), by_seed(results / f"{name}-by-seed.csv", "ndcg@10")]
    known = published_items(results, name)
    if known:
        parts += ["Published by others, of this protocol unless said otherwise:", known]
    steps, example = results / f"{name}-ablation.csv", results / f"{name}-example.csv"
    if steps.is_file():
        parts += [
            "What each choice gives (one seed; the best of 20 epochs, chosen on the same targets):",
            ablation(steps, "validation NDCG@10"),
        ]
    if example.is_file():
        parts += ["What the models recommend behind the first four Harry Potter films:", listed(example)]
    return "\n\n".join(parts)


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


def listed(file: Path) -> str:
    """The first titles that each model recommends, a column a model."""
    titles = pd.read_csv(file).pivot(index="rank", columns="model", values="title").head(5)
    models = pd.read_csv(file)["model"].unique()
    lines = [f"|  | {' | '.join(f'`{model}`' for model in models)} |", "|---" * (len(models) + 1) + "|"]
    for rank, row in titles.iterrows():
        lines.append(f"| {rank} | {' | '.join(row[model] for model in models)} |")
    return "\n".join(lines)


def headlines(results: Path) -> str:
    """Our best figure of each published table beside the best that others published, models with timestamps apart;
    where nobody published any, beside the next best of the table that is of another kind."""
    published_figures = pd.read_csv(results / "published.csv")
    lines = ["| data | metric | best here | best published |", "|---|---|---|---|"]
    for table, (split, metric, page) in HEADLINES.items():
        if not (results / f"{table}.csv").is_file():
            continue
        measured = pd.read_csv(results / f"{table}.csv")
        for dataset, own in measured[(measured["split"] == split) & (measured["metric"] == metric)].groupby(
            "dataset", sort=False
        ):
            known = published_figures[
                (published_figures["dataset"] == dataset) & (published_figures["metric"] == metric)
            ]
            for timed in (False, True):
                ours, theirs = (rows[rows["model"].map(uses_time) == timed] for rows in (own, known))
                if timed and ours.empty and theirs.empty:
                    continue
                title = f"[{TITLES[str(dataset)]}](results/{page}){', with timestamps' if timed else ''}"
                lines.append(f"| {title} | {metric.upper()} | {_best(ours, theirs)} |")
    return "\n".join(lines)


def _best(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Two cells: our best figure, and that of others or, where there is none, our next best."""
    rising = bool((pd.concat([ours, theirs])["metric"] != "rmse").all())
    own = ours.sort_values("value", ascending=not rising).to_dict("records")
    first = f"`{own[0]['model']}` {own[0]['value']:.4f} ({_interval(own[0])})" if own else "none"
    if theirs.empty:
        kind = own[0]["model"].partition("-")[0]
        rival = next(row for row in own if not row["model"].startswith(kind))
        return f"{first} | none; `{rival['model']}` here {rival['value']:.4f}"
    best = theirs.sort_values("value", ascending=not rising).to_dict("records")[0]
    return f"{first} | {best['value']:.4g} {best['model']} ({best['source']})"


def of_task(file: Path, task: str) -> pd.DataFrame:
    """Rows of a leaderboard that belong to a task."""
    rows = pd.read_csv(file)
    return rows[rows["task"] == task]


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
            figures = f"{own['value']:.4f} | {_interval(own)} | {behind} |"
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


def ml_100k(results: Path) -> str:
    """u1 with its seeds, and the mean over u1 … u5 beside it."""
    rows = pd.read_csv(results / "ml-100k.csv")
    return f"{families(rows, 'u1', 'u1-u5')}\n\n{by_seed(results / 'ml-100k-by-seed.csv')}"


def cil(results: Path) -> str:
    """Table by published table, then the models of which nothing was published; a word if it was never measured."""
    file = results / "cil.csv"
    if not file.is_file():
        return "Not measured yet: `make results-cil`."
    measured, facts = pd.read_csv(file), pd.read_csv(results / "cil-models.csv")
    known = pd.read_csv(results / "published.csv")
    known = known[(known["dataset"] == "cil") & (known["split"] == "cv10")]
    parts = [
        f"{source}:\n\n{published(rows, measured, facts)}"
        for source, rows in sorted(known.groupby("source"), reverse=True)
    ]
    rest = measured[~measured["model"].isin(known["model"])]
    parts.append(f"Beside them:\n\n{board(rest)}")
    unchosen = results / "cil-unchosen.csv"
    if unchosen.is_file():
        scores = pd.read_csv(unchosen).query("metric == 'rmse'").sort_values("value")
        best = scores.to_dict("records")[0]
        parts.append(
            f"Without the ratings that recipes were chosen on, {best['n']:,} remain, of which `{best['model']}` has "
            f"{best['value']:.4f} ({_interval(best)})."
        )
    return "\n\n".join(parts)


def signed(difference: float) -> str:
    """+0.0123, −0.0123."""
    return f"{difference:+.4f}".replace("-", "−")


def _interval(row: Mapping[Any, Any]) -> str:
    return f"{row['ci_low']:.4f} – {row['ci_high']:.4f}"


def ablation(file: Path, metric: str = "validation RMSE") -> str:
    """The figure of each step, and how far it is from that of the step it was tested against."""
    lines = [f"| step | {metric} | 95 % interval (users) | difference |", "|---|---|---|---|"]
    for row in pd.read_csv(file).to_dict("records"):
        difference = "reference"
        if pd.notna(row["difference"]):
            difference = f"{signed(row['difference'])} (p = {row['p']:.3f})"
        lines.append(f"| {row['step']} | {row['value']:.4f} | {_interval(row)} | {difference} |")
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


def pages(results: Path) -> dict[str, dict[str, str]]:
    """The blocks of each page, by file and name."""
    default = results / "simulated.csv"
    return {
        "README.md": {
            "default-figures": families(of_task(default, "rating")),
            "default-sequences": next_items(of_task(default, "sequence")),
            "default-playlists": songs(of_task(default, "playlist")),
            "headline-figures": headlines(results),
        },
        "results/ratings.md": {
            "u1-figures": ml_100k(results),
            "ablation-figures": ablation(results / "ml-100k-ablation.csv"),
            "cil-figures": cil(results),
        },
        "results/sequences.md": {
            "ml-1m-figures": sequences(results, "ml-1m-sequences", "make results-sequences"),
            "ml-1m-papers-figures": sequences(results, "ml-1m-papers", "make results-sequences"),
            "ml-latest-small-figures": sequences(results, "ml-latest-small", "make results-sequences"),
        },
        "results/playlists.md": {"playlist-figures": playlists(results)},
    }


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block between its markers replaced.

    Raises:
        ValueError: the page has no such markers.
    """
    for name, block in blocks.items():
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        if not end:
            raise ValueError(f"the page has no block {name}")
        page = f"{before}{begin}{block}\n{end}{after}"
    return page


if __name__ == "__main__":
    for name, blocks in pages(SOURCE_ROOT / "results").items():
        file = SOURCE_ROOT / name
        file.write_text(filled(file.read_text(encoding="utf-8"), blocks), encoding="utf-8")
