"""What a strange file is taken for; what is found reads the file as it was meant."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrec.datasets.look import look
from attrec.datasets.own_data import OwnDataConfig, read_own_data
from attrec.errors import DataError

USERS, ITEMS = 40, 60
WIDE = "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"


def rows(step: float = 0.5, seed: int = 0) -> pd.DataFrame:
    """user, item, rating in 0.5 to 5, seconds: each pair once."""
    draw = np.random.default_rng(seed)
    pairs = draw.permutation(USERS * ITEMS)[:800]
    return pd.DataFrame(
        {
            "user": pairs // ITEMS,
            "item": pairs % ITEMS,
            "rating": draw.integers(1, round(5 / step) + 1, 800) * step,
            "time": 1_599_955_200 + draw.permutation(800) * 86_400,
        }
    )


def strange(folder: Path) -> Path:
    """Semicolons, decimal commas, German dates, text ids, no end of the story: as a shop exports it."""
    frame = rows()
    frame["Kunde"] = [f"k{user:03d}" for user in frame["user"]]
    frame["Buch"] = [f"b;{item}" for item in frame["item"]]
    frame["Sterne"] = frame["rating"].map("{:.1f}".format).str.replace(".", ",")
    frame["Wann"] = pd.to_datetime(frame["time"], unit="s").dt.strftime("%d.%m.%Y")
    file = folder / "shop.csv.gz"
    frame[["Wann", "Kunde", "Buch", "Sterne"]].to_csv(file, sep=";", index=False)
    return file


def read(found, path: Path, **places: Path):
    return read_own_data(OwnDataConfig.model_validate({**found.section, "path": path, **places}))


def test_the_file_of_a_shop(tmp_path):
    file = strange(tmp_path)
    found = look(file, "shop")
    assert found.form == "text delimited by semicolons, a header line, packed"
    assert found.roles == {"Kunde": "user", "Buch": "item", "Sterne": "rating", "Wann": "time"}
    assert found.section == {
        "name": "shop",
        "path": "shop.csv.gz",
        "separator": ";",
        "user_column": "Kunde",
        "item_column": "Buch",
        "rating_column": "Sterne",
        "timestamp_column": "Wann",
        "timestamp_format": "%d.%m.%Y",
        "decimal": ",",
        "rating_min": 0.5,
        "rating_step": 0.5,
        "noun": "book",
    }
    assert found.odd == []
    tables = read(found, file)
    asked = rows()
    assert tables.ratings["rating"].tolist() == asked["rating"].tolist()
    assert tables.ratings["user_id"].tolist() == [f"k{user:03d}" for user in asked["user"]]
    assert tables.ratings["timestamp"].tolist() == asked["time"].tolist()
    [kunde] = [row for row in found.table() if row["column"] == "Kunde"]
    assert (kunde["holds"], kunde["distinct"], kunde["missing"]) == ("text", asked["user"].nunique(), 0)


def written(folder: Path, form: str) -> Path:
    frame = rows().rename(columns={"user": "userId", "item": "movieId", "time": "timestamp"})
    text = frame.to_csv(index=False)
    bare = frame.to_csv(index=False, header=False)
    if form == "parquet":
        frame.to_parquet(folder / "r.parquet")
        return folder / "r.parquet"
    contents = {
        "r.jsonl": frame.to_json(orient="records", lines=True).encode(),
        "r.csv": text.encode(),
        "bare.tsv": bare.replace(",", "\t").encode(),
        "r.dat": bare.replace(",", "::").encode(),
        "blanks.txt": bare.replace(",", "  ").encode(),
        "mac.csv": text.replace("\n", "\r").encode(),
        "r.csv.zst": pa.Codec("zstd").compress(text.encode(), asbytes=True),
        "packed-without-a-name": gzip.compress(text.encode()),
        "bom.csv": b"\xef\xbb\xbf" + text.encode(),
        "wide.csv": text.encode("utf-16"),
        **{f"{encoding}.csv": text.encode(encoding) for encoding in WIDE},
        "utf-16-be.jsonl": frame.to_json(orient="records", lines=True).encode("utf-16-be"),
    }
    (folder / form).write_bytes(contents[form])
    return folder / form


@pytest.mark.parametrize(
    "form",
    [
        *("parquet", "r.jsonl", "r.csv", "bare.tsv", "r.dat", "blanks.txt", "mac.csv", "r.csv.zst"),
        *("packed-without-a-name", "bom.csv", "wide.csv", "utf-16-be.jsonl"),
        *(f"{encoding}.csv" for encoding in WIDE),
    ],
)
def test_any_form_is_read_as_it_was_meant(tmp_path, form):
    file = written(tmp_path, form)
    found = look(file, "mine")
    assert found.rows == 800
    assert list(found.roles.values()) == ["user", "item", "rating", "time"]
    ratings = read(found, file).ratings
    asked = rows()
    for column, canonical in zip(asked, ("user_id", "item_id", "rating", "timestamp"), strict=True):
        assert ratings[canonical].tolist() == asked[column].tolist()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    separator=st.sampled_from(",;\t|"),
    header=st.booleans(),
    decimal=st.sampled_from(".,"),
    unit=st.sampled_from([1, 1000, 1_000_000]),
    step=st.sampled_from([1.0, 0.5, 0.1]),
    textual=st.booleans(),
    order=st.permutations(["user", "item", "rating", "time"]),
)
def test_whatever_the_dialect(tmp_path, separator, header, decimal, unit, step, textual, order):
    if decimal == separator:
        separator = ";"
    asked = rows(step)
    frame = asked.assign(time=asked["time"] * unit)
    if textual:
        frame = frame.assign(user=[f"u{user}" for user in frame["user"]])
    frame["rating"] = frame["rating"].map("{:.1f}".format).str.replace(".", decimal)
    if not header:
        # Without a name only the order tells a user from an item.
        order = ["user", "item", *(name for name in order if name not in ("user", "item"))]
    file = tmp_path / "mine.txt"
    frame[order].to_csv(file, sep=separator, header=header, index=False)
    found = look(file, "mine")
    ratings = read(found, file).ratings
    assert ratings["item_id"].tolist() == frame["item"].tolist()
    assert ratings["user_id"].tolist() == frame["user"].tolist()
    np.testing.assert_allclose(ratings["rating"], asked["rating"], rtol=1e-6)
    assert ratings["timestamp"].tolist() == asked["time"].tolist()
    assert found.section.get("rating_step", 1.0) == step


def test_tables_beside_it(tmp_path):
    file = strange(tmp_path)
    genres = ["Crime|Love", "Travel"]
    books = pd.DataFrame(
        {
            "pages": range(100, 100 + ITEMS),
            "nr": [f"b;{item}" for item in range(ITEMS)],
            "titel": [f"The {item}. book, indeed" for item in range(ITEMS)],
            "genre": [genres[item % 2] for item in range(ITEMS)],
            "blurb": [f"All about {item}" for item in range(ITEMS)],
        }
    )
    books.to_csv(tmp_path / "books.csv", index=False)
    people = pd.DataFrame(
        {
            "id": [f"k{user:03d}" for user in range(USERS)],
            "town": [["Bern", "Basel"][user % 2] for user in range(USERS)],
        }
    )
    people.to_csv(tmp_path / "people.csv", index=False)
    found = look(file, "shop", tmp_path / "books.csv", tmp_path / "people.csv")
    beside = {
        key: value for key, value in found.section.items() if key.startswith(("items", "title", "genres"))
    }
    assert beside == {
        "items_path": "books.csv",
        "items_separator": ",",
        "items_item_column": "nr",
        "title_column": "titel",
        "genres_column": "genre",
    }
    assert found.section["item_columns"] == ["pages"]
    assert found.section["user_columns"] == ["town"]
    assert found.odd == ["Of books.csv left out: blurb, neither numbers nor categories that several share."]
    tables = read(found, file, items_path=tmp_path / "books.csv", users_path=tmp_path / "people.csv")
    assert tables.items["title"].tolist() == books["titel"].tolist()
    assert tables.items["genres"].iloc[0] == ["Crime", "Love"]
    with pytest.raises(DataError, match="no column has the ids of 'Buch' once each"):
        look(file, "shop", tmp_path / "people.csv")


def test_what_is_known_goes_before_what_is_guessed(tmp_path):
    file = tmp_path / "r.csv"
    rows().rename(columns={"user": "a", "item": "b", "rating": "c", "time": "d"}).to_csv(file, index=False)
    assert look(file, "mine").roles == {"a": "user", "b": "item", "c": "rating", "d": "time"}
    other = look(file, "mine", meant={"user": "b", "item": "a", "rating": None})
    assert other.roles == {"b": "user", "a": "item", "d": "time"}
    assert other.section["rating_column"] is None
    with pytest.raises(DataError, match="has no column 'x' to be the user, only a, b, c, d"):
        look(file, "mine", meant={"user": "x"})


def test_a_table_that_was_written_with_its_row_numbers(tmp_path):
    file = tmp_path / "r.csv"
    rows()[["item", "user", "rating"]].to_csv(file)
    found = look(file, "mine")
    assert found.roles == {"item": "item", "user": "user", "rating": "rating"}
    assert "columns" not in found.section
    assert read(found, file).ratings["user_id"].tolist() == rows()["user"].tolist()


def test_a_file_that_is_cut_off_is_one_sentence(tmp_path):
    file = strange(tmp_path)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="is damaged or cut off"):
        look(file, "shop")


def test_what_is_odd_is_told(tmp_path):
    file = tmp_path / "r.csv"
    file.write_text("user,item,rating\n1,1,3\n1,1,4\n1,2\n2,1,5,9\n2,2,\n,3,4\n3,1,5\n")
    assert look(file, "mine").odd == [
        "Nothing seems to be a time: the order of the rows is taken for that of time.",
        "2 rows have something that cannot be read, the first in line 4.",
        "2 rows lack the user, the item, the rating or the time, the first in line 6.",
        "2 rows rate an item that their user rates more than once, the first in line 2.",
        "6 of 7 rows are bad (85.71%): where they are more than prepare.validation.max_bad_fraction the run stops,"
        " else they are left out, of those that rate an item again all but the last.",
        "1 of 2 users have one row alone.",
    ]
    dates = tmp_path / "dates.csv"
    dates.write_text(
        "user,item,rating,date\n" + "".join(f"{n % 3},{n},{n % 5},0{n % 9 + 1}/07/2024\n" for n in range(30))
    )
    assert look(dates, "mine").odd[0] == "The dates in date may be %d/%m/%Y or %m/%d/%Y: see which is right."


@pytest.mark.parametrize(
    ("form", "taken"),
    [
        ("%Y-%m-%d %H:%M:%S", None),
        ("%Y-%m-%dT%H:%M:%S.000Z", None),
        ("%Y/%m/%d %H:%M", None),
        ("%Y-%m-%d %H:%M:%S UTC", None),
        ("%Y%m%d", "%Y%m%d"),
        ("%Y%m%d%H%M%S", "%Y%m%d%H%M%S"),
        ("%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%SZ"),
        ("%Y.%m.%d", "%Y.%m.%d"),
        ("%d.%m.%y", "%d.%m.%y"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %I:%M %p"),
        ("%d-%m-%Y", "%d-%m-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
        ("%Y-%m", "%Y-%m"),
        ("%Y-%m-%d %H:%M:%S +0000", "%Y-%m-%d %H:%M:%S %z"),
        ("%a, %d %b %Y %H:%M:%S +0000", "%a, %d %b %Y %H:%M:%S %z"),
    ],
)
def test_a_date_is_read_as_it_was_written(tmp_path, form, taken):
    frame = rows()
    times = pd.to_datetime(frame["time"] + 49_021, unit="s")
    file = tmp_path / "r.tsv"
    frame.assign(time=times.dt.strftime(form)).to_csv(file, sep="\t", index=False)
    found = look(file, "mine")
    assert (found.section["timestamp_column"], found.section.get("timestamp_format")) == ("time", taken)
    assert found.odd == []
    ratings = read(found, file).ratings
    kept = pd.to_datetime(ratings["timestamp"], unit="s").dt.strftime(form)
    assert kept.tolist() == times.dt.strftime(form).tolist()


@pytest.mark.parametrize("form", ["%Y-W%V-%u", "%Y-%m-%dT%H", "%Y", "u%m-%d"])
def test_what_the_pipeline_could_not_read_is_taken_for_no_date(tmp_path, form):
    frame = rows()
    times = pd.to_datetime(frame["time"], unit="s").dt.strftime(form)
    file = tmp_path / "r.csv"
    frame.assign(time=times).to_csv(file, index=False)
    assert "timestamp_format" not in look(file, "mine").section
    found = look(file, "mine", meant={"time": None})
    assert {one.name: one.dates for one in found.columns}["time"] == []


@pytest.mark.parametrize("endless", ["inf", "1e400", "-inf"])
def test_an_infinite_rating_is_told_and_no_end_of_the_scale(tmp_path, endless):
    file = tmp_path / "r.csv"
    rows = [f"{n % 9},{n},{n % 5 + 3}\n" for n in range(108)]
    file.write_text("".join(["user,item,rating\n", *rows, f"9,9,{endless}\n"]))
    seen = look(file, "mine")
    assert "Some ratings in rating are infinite: they are taken for missing." in seen.odd
    assert (seen.section["rating_min"], seen.section["rating_max"]) == (3, 7)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: give a file with rows"),
        (b"\n \n", "is empty: give a file with rows"),
        (b"a\n1\n2\n", "no column seems to be the user (there are a); name it with --user COLUMN"),
        (b"user,item,rating\n1,1,3\n1,2,3\n2,1,3\n", "every rating in 'rating' is 3: say --rating none"),
        (b"user,item,rating\n1,1,inf\n1,2,inf\n2,1,inf\n", "no rating in 'rating' is a finite number"),
        (b"PK\x03\x04abc", "is packed with zip"),
        (bytes(range(1, 256)) * 20, ""),
        (b"PAR1 but no Parquet", "is damaged or cut off"),
        (gzip.compress(b"PAR1 PAR1", mtime=0), "is packed; unpack it: Parquet packs its columns itself"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(tmp_path, content, said):
    file = tmp_path / "r.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as told:
        look(file, "mine")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_ids_that_blanks_alone_tell_apart_are_told(tmp_path):
    file = tmp_path / "r.csv"
    users = "7", " 7", "7 ", "ann"
    file.write_text(
        "user,item,rating\n" + "".join(f"{users[n % 4]}, i{n % 9},{n % 5 + 1}\n" for n in range(36))
    )
    assert look(file, "mine").odd[1:] == [
        "3 users differ from another by blanks around the id alone, such as '7': each is taken for one of its own."
    ]


def test_lines_of_another_encoding_among_those_of_utf_8_are_counted(tmp_path):
    file = tmp_path / "r.csv"
    lines = [f"Käthe{n % 4},{n % 9},{n % 5 + 1}\n" for n in range(36)]
    utf8 = "".join(["user,item,rating\n", *lines]).encode()
    file.write_bytes(utf8 + "Jürgen,3,4\nann,4,4\nJürgen,5,4".encode("latin-1"))
    assert look(file, "mine").odd[0] == (
        "2 lines of r.csv are not UTF-8, and 36 with letters beyond ASCII are: all are read as cp1252, which garbles"
        " those: save the file with one encoding."
    )
    file.write_bytes(utf8.decode().encode("latin-1"))
    assert not [sentence for sentence in look(file, "mine").odd if "UTF-8" in sentence]


def test_many_columns_take_no_longer_than_they_must(tmp_path):
    # Counted all at once, 600 columns took a minute.
    file = tmp_path / "wide.jsonl"
    lines = ({"user": n % 5, "item": n % 9, "stars": n % 5 + 1, f"k{n}": n} for n in range(600))
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    began = time.process_time()
    found = look(file, "mine")
    assert time.process_time() - began < 25
    assert found.roles == {"user": "user", "item": "item", "stars": "rating"}
    assert {one.name: (one.known, one.distinct) for one in found.columns}["k599"] == (1, 1)
