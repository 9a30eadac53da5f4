"""Measure what the playlist models need as the catalogue grows: time to clean, fit and answer, and peak memory.

    make bench-playlists    # writes benchmarks/playlist_scale.csv and .md

Songs and playlists are simulated, a tenth as many artists and a fifth as many playlists as songs. Each model and size
is a process of its own on one thread, and is kept in playlist_scale.json: run again what was killed, and only what is
missing is measured. Clusterings have one candidate and ARS two epochs; the choice among more multiplies their time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from tqdm import tqdm

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.models.training import TrainingConfig
from attrec.playlists.ars import ARS, ARSConfig
from attrec.playlists.baselines import ItemKNN, ItemKNNConfig, MeanVector
from attrec.playlists.clusters import (
    DBSCAN,
    Agglomerative,
    AgglomerativeConfig,
    DBSCANConfig,
    KMeans,
    KMeansConfig,
)
from attrec.playlists.model import PlaylistModel
from attrec.playlists.ranking import encode
from attrec.prepare.playlist_splits import PlaylistSplitConfig, split_playlists
from attrec.prepare.songs import TableCleaner
from benchmarks.rows import Row, Rows, in_own_process, peak_mb
from tasks.families.playlists.data import suited_cleaning

FOLDER = Path(__file__).resolve().parent
SONGS = (3_000, 10_000, 30_000, 100_000)
ASKED = 100
_MODELS = {
    "mean-vector": MeanVector,
    "itemknn": lambda: ItemKNN(ItemKNNConfig(neighbours=(200,), shrinkage=(5.0,))),
    "kmeans": lambda: KMeans(KMeansConfig(n_clusters=(64,), restarts=1)),
    "agglomerative": lambda: Agglomerative(AgglomerativeConfig(n_clusters=(64,))),
    "dbscan": lambda: DBSCAN(DBSCANConfig(eps_quantiles=(0.6,))),
    "ars": lambda: ARS(ARSConfig(training=TrainingConfig(epochs=2, average_decay=0.9))),
}
_NOTE = """What each does past some size: `mean-vector` and `kmeans` hold every song; `agglomerative` and `dbscan`
cluster a random 5,000 of the training songs and assign the rest; `itemknn` holds the co-occurrences there are; `ars` is
trained against 20,000 random songs and the playlist's own, and answers exactly. All hold the songs as points: thirteen
numbers, and a column for each of the 2,000 commonest artists.
"""


def main() -> None:
    """Measure what is missing, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the results go")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the code")
    given = parser.parse_args()
    rows = Rows(given.folder / "playlist_scale.json", {"asked": ASKED})
    sizes = (300, 600) if given.quick else SONGS
    points = [(songs, model) for songs in sizes for model in _MODELS]
    measured = []
    with TemporaryDirectory() as folder:
        for songs, model in (bar := tqdm(points, desc="playlists", unit="point")):
            bar.set_postfix_str(f"{model}, {songs:,} songs")
            found = rows.measure(f"{model} {songs}", fit_and_answer, songs, model, Path(folder))
            measured.append({"songs": songs, "model": model, **found})
    table = pd.DataFrame(measured)
    table.to_csv(given.folder / "playlist_scale.csv", index=False, float_format="%.2f")
    text = report(table, str(rows.conditions["machine"]))
    (given.folder / "playlist_scale.md").write_text(text, encoding="utf-8")
    print(text)


def fit_and_answer(songs: int, name: str, folder: Path) -> Row:
    """`measure` in a process of its own, on the world of this size, which is simulated once."""
    ratings, items = folder / f"{songs}-ratings.parquet", folder / f"{songs}-items.parquet"
    if not items.exists():
        in_own_process(simulate, songs, ratings, items)
    return in_own_process(measure, ratings, items, name)


def simulate(songs: int, ratings: Path, items: Path) -> Row:
    """Write what playlists have and the songs."""
    world = PlaylistSimulatorConfig(
        n_songs=songs, n_playlists=songs // 5, n_artists=songs // 10, truth_songs=0
    )
    tables = simulate_playlists(world)
    tables.ratings.to_parquet(ratings)
    tables.items.to_parquet(items)
    return {}


def measure(ratings: Path, items: Path, name: str) -> Row:
    """CPU seconds to clean, to fit and to score ASKED playlists against all songs; MiB after cleaning."""
    songs = pd.read_parquet(items)
    split = split_playlists(pd.read_parquet(ratings), PlaylistSplitConfig())
    trained_on = songs[songs["item_id"].isin(split.train["item_id"])]
    start = time.process_time()
    vectors = TableCleaner(suited_cleaning(songs)).fit(trained_on).vectors(songs)
    cleaned, cleaned_mb = time.process_time(), peak_mb()
    model: PlaylistModel = _MODELS[name]().fit(split.train, vectors)
    fitted = time.process_time()
    given, _ = encode(split.test, vectors.ids)
    model.score(given.take(range(min(ASKED, len(given)))))
    return {
        "training_songs": len(trained_on),
        "clean_seconds": cleaned - start,
        "cleaned_mb": cleaned_mb,
        "fit_seconds": fitted - cleaned,
        "answer_seconds": time.process_time() - fitted,
    }


def report(table: pd.DataFrame, machine: str) -> str:
    """Markdown: a row a model and size."""
    lines = [
        "# Playlist models and the size of the catalogue",
        "",
        f"CPU seconds on one thread and peak memory of the whole process, once each, on {machine}. Simulated songs.",
        "",
        f"| songs | of them trained on | model | clean (s) | fit (s) | {ASKED} playlists (s) | peak (MiB) |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['songs']:,} | {row['training_songs']:,} | `{row['model']}` | {row['clean_seconds']:.1f} | "
        f"{row['fit_seconds']:.1f} | {row['answer_seconds']:.2f} | {row['peak_mb']:,.0f} |"
        for row in table.to_dict("records")
    ]
    return "\n".join([*lines, "", _NOTE])


if __name__ == "__main__":
    main()
