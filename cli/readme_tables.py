"""Write the measured tables and those of parameters into README.md and docs/: none of them is typed by hand.

Run by `make readme`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS
from attrec.reporting.leaderboard import uses_time
from attrec.sequences.specs import SEQUENCE_MODELS
from cli import parameter_tables
from cli.markdown_tables import (
    ablation,
    board,
    by_seed,
    families,
    gains,
    interval,
    listed,
    next_items,
    published,
    published_items,
    side_by_side,
    songs,
)
from flows.paper_params import PaperSection
from flows.playlist_params import PlaylistSection
from flows.prepare_params import PrepareSection
from flows.rating_params import RatingSection
from flows.sequence_params import SequenceSection
from tasks.engine.imports import SOURCE_ROOT
from tasks.engine.params import RunnerConfig
from tasks.reports.published import table_file

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

SECTIONS: dict[str, type[BaseModel]] = {
    "runner": RunnerConfig,
    "prepare": PrepareSection,
    "rating": RatingSection,
    "sequence": SequenceSection,
    "playlist": PlaylistSection,
    "paper": PaperSection,
}
"""The sections of params.yaml."""

TABLES = {
    "rating": ("ratings", RATING_MODELS),
    "sequence": ("sequences", SEQUENCE_MODELS),
    "playlist": ("playlists", PLAYLIST_MODELS),
}
"""Of each section: the page of its models, and the models."""


def playlists(results: Path) -> str:
    """A table a data set, and how far the best model is ahead of the next; a word if it was never measured."""
    file = table_file("spotify-playlists", results=results)
    if not file.is_file():
        return "Not measured yet: `make results-playlists`."
    measured, tests = (
        pd.read_csv(file),
        pd.read_csv(table_file("spotify-playlists", "comparisons.csv", results)),
    )
    known_file = table_file("spotify-playlists", "known.csv", results)
    known = pd.read_csv(known_file) if known_file.is_file() else None
    ceiling = table_file("spotify-playlists", "ceiling.csv", results)
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
    steps = table_file("spotify-playlists", "ablation.csv", results)
    if steps.is_file():
        parts += [
            "What each choice of `ars-full` gives (NDCG@10 on the validation playlists of all folds, on which the "
            "epochs were chosen too, without those that recipes were chosen on; one seed; in brackets p of the paired "
            "test against the first row). What one fold validates on others test, so no recipe may be chosen by it:",
            side_by_side(pd.read_csv(steps)),
        ]
    return "\n\n".join(parts)


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
    file = table_file(name, results=results)
    if not file.is_file():
        return f"Not measured yet: `{command}`."
    parts = [next_items(pd.read_csv(file)), by_seed(table_file(name, "by-seed.csv", results), "ndcg@10")]
    known = published_items(results, name)
    if known:
        parts += ["Published by others, of this protocol unless said otherwise:", known]
    steps, example = table_file(name, "ablation.csv", results), table_file(name, "example.csv", results)
    if steps.is_file():
        parts += [
            "What each choice gives (one seed; the best of 20 epochs, chosen on the same targets; p over users, "
            "Holm-adjusted, from 2,000 resamples, so that it cannot be below what most rows have):",
            ablation(steps, "validation NDCG@10"),
        ]
    if example.is_file():
        parts += ["What the models recommend behind the first four Harry Potter films:", listed(example)]
    return "\n\n".join(parts)


def headlines(results: Path) -> str:
    """Our best figure of each published table beside the best that others published, models with timestamps apart;
    where nobody published any, beside the next best of the table that is of another kind."""
    published_figures = pd.read_csv(results / "published.csv")
    lines = ["| data | metric | best here | best published |", "|---|---|---|---|"]
    for table, (split, metric, page) in HEADLINES.items():
        if not (table_file(table, results=results)).is_file():
            continue
        measured = pd.read_csv(table_file(table, results=results))
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
                title = f"[{TITLES[str(dataset)]}](docs/{page}){', with timestamps' if timed else ''}"
                lines.append(f"| {title} | {metric.upper()} | {_best(ours, theirs)} |")
    return "\n".join(lines)


def _best(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Two cells: our best figure, and that of others or, where there is none, our next best."""
    rising = bool((pd.concat([ours, theirs])["metric"] != "rmse").all())
    own = ours.sort_values("value", ascending=not rising).to_dict("records")
    first = f"`{own[0]['model']}` {own[0]['value']:.4f} ({interval(own[0])})" if own else "none"
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


def ml_100k(results: Path) -> str:
    """u1 with its seeds, and the mean over u1 … u5 beside it."""
    rows = pd.read_csv(table_file("ml-100k", results=results))
    return f"{families(rows, 'u1', 'u1-u5')}\n\n{by_seed(table_file('ml-100k', 'by-seed.csv', results))}"


def cil(results: Path) -> str:
    """Table by published table, then the models of which nothing was published; a word if it was never measured."""
    file = table_file("cil", results=results)
    if not file.is_file():
        return "Not measured yet: `make results-cil`."
    measured, facts = pd.read_csv(file), pd.read_csv(table_file("cil", "models.csv", results))
    known = pd.read_csv(results / "published.csv")
    known = known[(known["dataset"] == "cil") & (known["split"] == "cv10")]
    parts = [
        f"{source}:\n\n{published(rows, measured, facts)}"
        for source, rows in sorted(known.groupby("source"), reverse=True)
    ]
    rest = measured[~measured["model"].isin(known["model"])]
    parts.append(f"Beside them:\n\n{board(rest)}")
    unchosen = table_file("cil", "unchosen.csv", results)
    if unchosen.is_file():
        scores = pd.read_csv(unchosen).query("metric == 'rmse'").sort_values("value")
        best = scores.to_dict("records")[0]
        parts.append(
            f"Without the ratings that recipes were chosen on, {best['n']:,} remain, of which `{best['model']}` has "
            f"{best['value']:.4f} ({interval(best)})."
        )
    return "\n\n".join(parts)


def pages(results: Path) -> dict[str, dict[str, str]]:
    """The blocks of each page, by file and name."""
    default = results / "simulated.csv"
    return {
        "README.md": {
            "default-figures": families(of_task(default, "rating")),
            "headline-figures": headlines(results),
        },
        "docs/quickstart.md": {
            "default-sequences": next_items(of_task(default, "sequence")),
            "default-playlists": songs(of_task(default, "playlist")),
        },
        "docs/ratings.md": {
            "u1-figures": ml_100k(results),
            "ablation-figures": ablation(table_file("ml-100k", "ablation.csv", results)),
            "cil-figures": cil(results),
        },
        "docs/sequences.md": {
            "ml-1m-figures": sequences(results, "ml-1m-sequences", "make results-sequences"),
            "ml-1m-papers-figures": sequences(results, "ml-1m-papers", "make results-sequences"),
            "ml-latest-small-figures": sequences(results, "ml-latest-small", "make results-sequences"),
        },
        "docs/playlists.md": {"playlist-figures": playlists(results)},
        "docs/tuning.md": {
            "tuning-spaces": parameter_tables.spaces(table for _, table in TABLES.values()),
            "tuning-gains": gains(results / "tuning" / "gains.csv"),
        },
        **parameters(),
    }


def parameters() -> dict[str, dict[str, str]]:
    """The blocks of the pages that say what `params.yaml` may hold."""
    return {
        "docs/parameters.md": {
            f"{place}-parameters": parameter_tables.sections(section, place)
            for place, section in SECTIONS.items()
        },
        **{
            f"docs/parameters-{page}.md": {
                f"{family}-models": parameter_tables.models(table, table.spec_classes)
            }
            for family, (page, table) in TABLES.items()
        },
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
