"""README and docs/ show the figures of the tables of results/, and no other."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import yaml
from typer.main import get_command

from cli.app import app
from cli.markdown_tables import TIMED, families
from cli.readme_tables import cil, filled, headlines, pages, playlists, sequences
from tasks.engine.imports import SOURCE_ROOT as PROJECT
from tasks.reports.published import table_file


def test_tables_are_those_of_the_results(project):
    blocks = pages(project / "results")
    for name, own in blocks.items():
        page = (project / name).read_text(encoding="utf-8")
        assert filled(page, own) == page, "run `make readme`"
    places = {name: (project / name).read_text(encoding="utf-8").count("<!-- end ") for name in PAGES}
    assert {name: count for name, count in places.items() if count} == {
        name: len(own) for name, own in blocks.items()
    }


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "data/incoming/README.md",
    *(
        f"{page.parent.name}/{page.name}"
        for name in ("docs", "benchmarks")
        for page in PROJECT.glob(f"{name}/*.md")
    ),
]


def test_the_readme_is_short(project):
    assert len((project / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings(project, name):
    page = project / name
    for place in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in place:
            continue
        path, _, heading = place.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), place
        if heading:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), flags=re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings]
            assert heading in anchors, place


def words_of(command):
    """Commands of the code blocks and code spans of all pages that begin with a word."""
    for name in PAGES:
        text = (PROJECT / name).read_text(encoding="utf-8")
        blocks = "\n".join(re.findall(r"```\n(.*?)```", text, flags=re.DOTALL))
        lines = re.findall(rf"^(?:[A-Z_]+=\S+ )?{command} (.*)$", blocks, flags=re.MULTILINE)
        yield from (line.partition("  #")[0].split() for line in lines)
        yield from (span.split() for span in re.findall(rf"`{command} ([^`]*)`", text))


def test_commands_and_their_options_exist():
    found = list(words_of("attrec"))
    assert len(found) > 20
    for words in found:
        command = root = get_command(app)
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command, *words = command.commands[words[0]], *words[1:]
        assert command is not root, words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, words


def python_of(text):
    """The blocks of Python of a page, one after the other."""
    return "\n".join(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))


def in_python(project):
    """What the README shows of the library, and the files that it reads."""
    section = (project / "README.md").read_text(encoding="utf-8").partition("\n## In Python\n")[2]
    rows = [
        (user, item, 1 + (user + item) % 2)
        for user in range(1, 13)
        for item in range(1, 11)
        if (user + item) % 5
    ]
    ratings = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    files = {"ratings.csv": ratings, "actions.csv": ratings[["user_id", "item_id"]]}
    return python_of(section.partition("\n## ")[0]), files


def test_the_python_of_the_readme_runs(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, files = in_python(project)
    for name, table in files.items():
        table.to_csv(name, index=False)
    done = {}
    exec(compile(code, "README.md", "exec"), done)
    assert len(code.split("\n\n")[1].splitlines()) <= 10
    assert type(done["model"]).__name__ == "BayesianMF"
    assert (tmp_path / "model" / "model.json").is_file()


def test_the_python_of_the_page_on_the_library_runs(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = project / "docs" / "library.md"
    exec(compile(python_of(page.read_text(encoding="utf-8")), page.name, "exec"), {})
    assert "item_id of the pairs is text such as" in capsys.readouterr().out


FOLDERS = "attrec|tasks|flows|cli|tests|benchmarks|docs|data|results"
MADE = re.compile(
    r"^(data/(raw|interim|processed|quarantine)|data/incoming/shop\.|results/(DATASET|TABLE|cil-first|ml-1m-papers))"
)
"""What is there after a run, or stands for something."""


@pytest.mark.parametrize("name", PAGES)
def test_files_that_pages_name_exist(project, name):
    text = (project / name).read_text(encoding="utf-8")
    pasted = re.findall(r"`([\w/]+\.py)`[.:]\n\n```python", text)
    for place in re.findall(rf"`((?:{FOLDERS})/[^`*<>… ]+)`", text):
        assert place in pasted or MADE.match(place) or (project / place).exists(), place


def test_targets_of_make_exist(project):
    targets = re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), flags=re.MULTILINE)
    found = {words[0] for words in words_of("make")}
    assert len(found) > 10
    assert found <= set(targets)


def put(rows, results, table, name="scores"):
    file = table_file(table, f"{name}.csv", results)
    file.parent.mkdir(exist_ok=True)
    rows.to_csv(file, index=False)


def written(folder, name, rows):
    columns = ["split", "model", "metric", "value", "ci_low", "ci_high", "seeds"]
    put(pd.DataFrame(rows, columns=columns), folder, name)


def test_best_of_ours_beside_the_best_published(tmp_path):
    rating = [
        ("ml-100k", "u1", "blend", "rmse", 0.87),
        ("ml-100k", "u1", "svd", "rmse", 0.93),
        ("ml-100k", "u1", "svd", "mae", 0.7),
        ("ml-100k", "u2", "svd", "rmse", 0.5),
        ("ml-100k", "u1", "fm+time", "rmse", 0.86),
    ]
    sequence = [("ml-1m-sequences", "leave-one-out", "sasrec", "ndcg@10", 0.19)]
    playlist = [
        ("spotify-playlists", "cv5", model, "ndcg@10", value)
        for model, value in (("itemknn", 0.1), ("ars-paper", 0.15), ("ars-full", 0.2), ("popularity", 0.05))
    ]
    tables = {"ml-100k": rating, "ml-1m-sequences": sequence, "spotify-playlists": playlist}
    for name, rows in tables.items():
        frame = pd.DataFrame(rows, columns=["dataset", "split", "model", "metric", "value"])
        frame = frame.assign(ci_low=frame["value"] - 0.01, ci_high=frame["value"] + 0.01)
        put(frame, tmp_path, name)
    (tmp_path / "published.csv").write_text(
        "dataset,split,model,metric,value,source\nml-100k,u1,X,rmse,0.888,Theirs\nml-100k,u1,Y,rmse,0.9,Theirs\n"
        "ml-100k,u1,Z+time,rmse,0.8808,Dated\nml-1m-sequences,leave-one-out,S,ndcg@10,0.18,There\n"
        "ml-1m-sequences,leave-one-out,S,hr@10,0.3,There\nml-1m-sequences,leave-one-out,H+time,ndcg@10,0.216,Late\n"
    )
    assert headlines(tmp_path).splitlines()[2:] == [
        "| [MovieLens-100K, split u1](docs/ratings.md) | RMSE | `blend` 0.8700 (0.8600 – 0.8800) "
        "| 0.888 X (Theirs) |",
        "| [MovieLens-100K, split u1](docs/ratings.md), with timestamps | RMSE "
        "| `fm+time` 0.8600 (0.8500 – 0.8700) | 0.8808 Z+time (Dated) |",
        "| [ML-1M, what comes next](docs/sequences.md) | NDCG@10 | `sasrec` 0.1900 (0.1800 – 0.2000) "
        "| 0.18 S (There) |",
        "| [ML-1M, what comes next](docs/sequences.md), with timestamps | NDCG@10 | none | 0.216 H+time (Late) |",
        "| [Songs of Spotify playlists](docs/playlists.md) | NDCG@10 | `ars-full` 0.2000 (0.1900 – 0.2100) "
        "| none; `itemknn` here 0.1000 |",
    ]


def test_splits_stand_side_by_side_and_models_of_time_below(tmp_path):
    rows = [
        (split, model, metric, value, value - 0.01, value + 0.01, 2)
        for split, shift in (("u1", 0.0), ("u2", 0.3), ("u1-u5", 0.1))
        for model, rmse in (("svd", 0.9), ("fm", 0.8), ("fm+time", 0.7))
        for metric, value in (("rmse", rmse + shift), ("mae", rmse + shift - 0.2))
    ]
    written(tmp_path, "ml-100k", rows)
    table = families(pd.read_csv(table_file("ml-100k", results=tmp_path)), "u1", "u1-u5").splitlines()
    assert table == [
        "| model | RMSE | 95 % interval (users) | MAE | seeds | mean over u1–u5 | 95 % interval (users) |",
        "|---|---|---|---|---|---|---|",
        "| `fm` | 0.8000 | 0.7900 – 0.8100 | 0.6000 | 2 | 0.9000 | 0.8900 – 0.9100 |",
        "| `svd` | 0.9000 | 0.8900 – 0.9100 | 0.7000 | 2 | 1.0000 | 0.9900 – 1.0100 |",
        "",
        TIMED,
        "",
        *table[:2],
        "| `fm+time` | 0.7000 | 0.6900 – 0.7100 | 0.5000 | 2 | 0.8000 | 0.7900 – 0.8100 |",
    ]


def test_sequence_models_by_ndcg_with_the_spread_over_seeds(tmp_path):
    assert sequences(tmp_path, "ml-1m", "make it") == "Not measured yet: `make it`."
    rows = [
        ("leave-one-out", model, metric, value, value - 0.01, value + 0.01, 2)
        for model, ndcg in (("popularity", 0.02), ("sasrec", 0.18))
        for metric, value in (("hr@10", 2 * ndcg), ("ndcg@10", ndcg), ("mrr@10", ndcg / 2))
    ]
    written(tmp_path, "ml-1m", rows)
    seeds = [
        ("sasrec", "ndcg@10", 0, 0.17),
        ("sasrec", "ndcg@10", 1, 0.19),
        ("popularity", "ndcg@10", 0, 0.02),
    ]
    columns = ["model", "metric", "seed_number", "value"]
    put(pd.DataFrame(seeds, columns=columns), tmp_path, "ml-1m", "by-seed")
    assert sequences(tmp_path, "ml-1m", "make it").splitlines() == [
        "| model | NDCG@10 | 95 % interval (users) | HR@10 | MRR@10 | seeds |",
        "|---|---|---|---|---|---|",
        "| `sasrec` | 0.1800 | 0.1700 – 0.1900 | 0.3600 | 0.0900 | 2 |",
        "| `popularity` | 0.0200 | 0.0100 – 0.0300 | 0.0400 | 0.0100 | 2 |",
        "",
        "NDCG@10, mean ± standard deviation over seeds: `sasrec` 0.1800 ± 0.0141.",
    ]
    (tmp_path / "published.csv").write_text(
        "dataset,split,model,metric,value,source\n"
        'ml-1m,loo,SASRec,ndcg@10,0.1078,"A paper, rerun"\nml-1m,loo,SASRec,hr@10,0.1993,"A paper, rerun"\n'
        "ml-1m,loo,SASRec+,ndcg@10,0.182,Another\nml-1m,loo,SASRec+,hr@10,0.315,Another\nml-2m,loo,X,ndcg@10,0.9,No\n"
    )
    assert sequences(tmp_path, "ml-1m", "make it").splitlines()[-6:] == [
        "Published by others, of this protocol unless said otherwise:",
        "",
        "| published | NDCG@10 | HR@10 | source |",
        "|---|---|---|---|",
        "| SASRec+ | 0.182 | 0.315 | Another |",
        "| SASRec | 0.108 | 0.199 | A paper, rerun |",
    ]


def test_behind_a_table_of_sequence_models_stand_steps_and_an_example(tmp_path):
    written(tmp_path, "ml", [("leave-one-out", "sasrec", metric, 0.1, 0.0, 0.2, 1) for metric in
                             ("ndcg@10", "hr@10", "mrr@10")])  # fmt: skip
    own = pd.DataFrame({"model": ["sasrec"] * 2, "metric": "ndcg@10", "value": [0.1, 0.1]})
    put(own, tmp_path, "ml", "by-seed")
    steps = [("field", 0.18, 0.17, 0.19, None, None), ("d 32", 0.15, 0.14, 0.16, -0.03, 0.002)]
    columns = ["step", "value", "ci_low", "ci_high", "difference", "p"]
    put(pd.DataFrame(steps, columns=columns), tmp_path, "ml", "ablation")
    shown = [(model, rank, f"{model} {rank}", 1 / rank) for model in ("z", "a") for rank in range(1, 7)]
    put(pd.DataFrame(shown, columns=["model", "rank", "title", "score"]), tmp_path, "ml", "example")
    assert sequences(tmp_path, "ml", "make it").splitlines()[6:] == [
        "What each choice gives (one seed; the best of 20 epochs, chosen on the same targets; p over users, "
        "Holm-adjusted, from 2,000 resamples, so that it cannot be below what most rows have):",
        "",
        "| step | validation NDCG@10 | 95 % interval (users) | difference |",
        "|---|---|---|---|",
        "| field | 0.1800 | 0.1700 – 0.1900 | reference |",
        "| d 32 | 0.1500 | 0.1400 – 0.1600 | −0.0300 (p = 0.002) |",
        "",
        "What the models recommend behind the first four Harry Potter films:",
        "",
        "|  | `z` | `a` |",
        "|---|---|---|",
        *[f"| {rank} | z {rank} | a {rank} |" for rank in range(1, 6)],
    ]


def test_published_and_measured_side_by_side(tmp_path):
    assert cil(tmp_path) == "Not measured yet: `make results-cil`."
    rows = [
        ("cv10", model, metric, value, value - 0.01, value + 0.01, 1)
        for model, value in (("SVD", 1.02), ("a+mlp2", 0.97), ("blend", 0.96))
        for metric in ("rmse", "mae")
    ]
    written(tmp_path, "cil", rows)
    facts = {"model": ["SVD", "a+mlp2"], "common_epoch": [None, 7], "common_epoch_rmse": [None, 0.965]}
    put(pd.DataFrame(facts), tmp_path, "cil", "models")
    (tmp_path / "published.csv").write_text(
        "dataset,split,model,metric,value,source\ncil,cv10,SVD,rmse,1.01,Table I\ncil,cv10,NMF,rmse,1.05,Table I\n"
        "cil,cv10,a+mlp2,rmse,0.974,Table II\nml-100k,u1,glocal-k,rmse,0.888,Table III\n"
    )
    shown = cil(tmp_path)
    assert "| `a+mlp2` | 0.9740 | 0.9700 | 0.9600 – 0.9800 | −0.0040 | 0.9650 (epoch 7) |" in shown
    assert "| `SVD` | 1.0100 | 1.0200 | 1.0100 – 1.0300 | +0.0100 |\n| `NMF` | 1.0500 |  |  |  |" in shown
    assert "| `blend` | 0.9600 | 0.9500 – 0.9700 | 0.9600 | 1 |" in shown
    assert shown.index("Table II:") < shown.index("Table I:") < shown.index("Beside them:")
    assert "chosen on" not in shown
    unchosen = [
        ("b", "rmse", 0.97, 0.96, 0.98, 5),
        ("a", "rmse", 0.96, 0.95, 0.97, 5),
        ("a", "mae", 0.7, 0.6, 0.8, 5),
    ]
    columns = ["model", "metric", "value", "ci_low", "ci_high", "n"]
    put(pd.DataFrame(unchosen, columns=columns), tmp_path, "cil", "unchosen")
    assert cil(tmp_path).endswith("5 remain, of which `a` has 0.9600 (0.9500 – 0.9700).")
    assert "glocal-k" not in shown


def test_playlist_models_a_table_a_data_set_and_how_far_the_best_is_ahead(tmp_path):
    assert playlists(tmp_path) == "Not measured yet: `make results-playlists`."
    rows = [
        (dataset, "cv5", model, metric, value, value - 0.01, value + 0.01, 3)
        for dataset, shift in (
            ("ml-latest-small", 0.0),
            ("simulated-playlists", 0.1),
            ("spotify-playlists", 0.2),
        )
        for model, ndcg in (("itemknn", 0.15), ("ars-full", 0.2))
        for metric, value in (("ndcg@10", ndcg + shift), ("r-precision", ndcg / 2), ("recall@50", 2 * ndcg))
    ]
    columns = ["dataset", "split", "model", "metric", "value", "ci_low", "ci_high", "seeds"]
    board = pd.DataFrame(rows, columns=columns).assign(n=1234)
    put(board, tmp_path, "spotify-playlists")
    put(board.assign(value=board["value"] + 0.05), tmp_path, "spotify-playlists", "known")
    tests = [
        (dataset, "itemknn", "ars-full", metric, -0.05, -0.08, -0.02, 0.0002)
        for dataset in ("spotify-playlists", "simulated-playlists", "ml-latest-small")
        for metric in ("ndcg@10", "recall@50")
    ]
    columns = ["dataset", "model", "reference", "metric", "difference", "ci_low", "ci_high", "p_adjusted"]
    put(pd.DataFrame(tests, columns=columns), tmp_path, "spotify-playlists", "comparisons")
    ceiling = {"dataset": ["simulated-playlists"], "metric": ["ndcg@10"], "value": [0.8765]}
    put(pd.DataFrame(ceiling), tmp_path, "spotify-playlists", "ceiling")
    shown = playlists(tmp_path)
    assert shown.splitlines()[:8] == [
        "Songs of Spotify playlists (`spotify-playlists`), 1,234 playlists:",
        "",
        "| model | NDCG@10 | 95 % interval (playlists) | R-precision | Recall@50 | seeds "
        "| NDCG@10, known songs (1,234 playlists) |",
        "|---|---|---|---|---|---|---|",
        "| `ars-full` | 0.4000 | 0.3900 – 0.4100 | 0.1000 | 0.4000 | 3 | 0.4500 |",
        "| `itemknn` | 0.3500 | 0.3400 – 0.3600 | 0.0750 | 0.3000 | 3 | 0.4000 |",
        "",
        "`ars-full` is ahead of `itemknn` by 0.0500 (0.0200 – 0.0800, p < 0.001, paired over playlists).",
    ]
    places = [
        shown.index(f"(`{name}`),")
        for name in ("spotify-playlists", "simulated-playlists", "ml-latest-small")
    ]
    assert places == sorted(places)
    assert places[1] < shown.index("would reach an NDCG@10 of 0.8765") < places[2]
    steps = [
        ("spotify-playlists", "all", 0.22, None, None),
        ("ml-latest-small", "all", 0.41, None, None),
        ("spotify-playlists", "one pair", 0.21, -0.01, 0.004),
        ("ml-latest-small", "one pair", 0.415, 0.005, 0.25),
    ]
    columns = ["dataset", "step", "value", "difference", "p"]
    put(pd.DataFrame(steps, columns=columns).assign(n=17), tmp_path, "spotify-playlists", "ablation")
    assert playlists(tmp_path).splitlines()[-4:] == [
        "| step | `spotify-playlists` (17 playlists) | `ml-latest-small` (17 playlists) |",
        "|---|---|---|",
        "| all | 0.2200 | 0.4100 |",
        "| one pair | 0.2100 (0.004) | 0.4150 (0.250) |",
    ]


def test_expected_figures_are_of_the_models_of_the_default_run(project):
    params = yaml.safe_load((project / "params.yaml").read_text())
    expected = pd.read_csv(project / "results" / "simulated.csv")
    assert {"rating", "sequence"} <= set(expected["task"])
    for task, rows in expected.groupby("task"):
        models = params[task]["models"].items()
        assert set(rows["model"]) == {spec.get("name", key) for key, spec in models}, (
            "run `make reproduce`, copy reports/leaderboard.csv to results/simulated.csv, run `make readme`"
        )
