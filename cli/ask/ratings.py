"""`attrec predict`, `attrec recommend` and `attrec explain`: ask the registered model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd
import typer
from tqdm import tqdm

from attrec.datasets.cil import read_submission, write_submission
from attrec.errors import DataError
from cli.ask.csv_rows import read_rows
from cli.ask.playlists import recommend_songs
from cli.ask.registered import ModelOption, load_registered, show_items
from cli.ask.sequences import recommend_next

if TYPE_CHECKING:
    from attrec.serving.ratings import ServedRatings

_PAIRS_AT_ONCE = 100_000
_SHOWN_WEIGHT = 0.0005
"""Weights are shown with three decimals."""

UserOption = Annotated[str | None, typer.Option(help="A user id the model was trained on.")]
RatingsOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV with the columns item_id,rating: the ratings of somebody new. Nothing is retrained."
    ),
]


def predict(
    item: Annotated[
        list[str] | None, typer.Option(help="Item id; give it several times for several items.")
    ] = None,
    user: UserOption = None,
    ratings: RatingsOption = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns Id,Prediction or Id alone, ids like r44_c1: pairs to predict."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Where the filled submission goes.")] = None,
    model: ModelOption = "champion",
) -> None:
    """Predict ratings with the registered model: for a known user, for somebody new, or for a file of pairs.

    Examples: `attrec predict --user 196 --item 242 --item 302`, `attrec predict --ratings mine.csv --item 50`,
    `attrec predict --submission pairs.csv --output mine.csv`.
    """
    if submission is not None:
        if item or user is not None or ratings is not None:
            raise DataError(
                "--submission names users and items itself: leave out --item, --user and --ratings."
            )
        if output is None:
            raise DataError("Say where the predictions go: --output FILE.")
        _fill_submission(submission, output, model)
        return
    if output is not None:
        raise DataError("--output goes with --submission FILE, the pairs to predict.")
    if not item:
        raise DataError("Say what is asked: --item ID, or --submission FILE with many pairs.")
    served, user_id, history = _ask(model, user, ratings)
    items = [_known(served.model.catalogue.items, word, "item") for word in item]
    pairs = pd.DataFrame({"user_id": user_id, "item_id": items})
    pairs["prediction"] = served.model.predict(pairs, history)
    show_items(served.with_titles(pairs), "prediction")


def recommend(
    titles: Annotated[
        list[str] | None,
        typer.Argument(help="After --titles: what somebody liked, the oldest first.", show_default=False),
    ] = None,
    by_title: Annotated[
        bool,
        typer.Option(
            "--titles", help="Say what comes next after these titles, typed as well as you remember them."
        ),
    ] = False,
    playlist: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns title and, if you know it, artist: songs that go together. Nothing is retrained."
        ),
    ] = None,
    user: UserOption = None,
    ratings: RatingsOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    model: ModelOption = "champion",
    attention: Annotated[
        Path | None,
        typer.Option(help="With --titles: draw what the model attended to into this .svg or .png."),
    ] = None,
) -> None:
    """Recommend items: those with the highest predicted rating, with --titles what comes next after some titles, with
    --playlist what suits some songs.

    What somebody has already is left out. Examples: `attrec recommend --user 196`, `attrec recommend --ratings mine.csv
    -k 5`, `attrec recommend --titles "Toy Story" "The Lion King"`, `attrec recommend --playlist songs.csv`. With
    --titles, --model may also be a folder that `cli.train_sequences` wrote, given as a path: ./mine, models/mine.
    """
    if playlist is not None:
        if by_title or titles or user is not None or ratings is not None or attention is not None:
            raise DataError(
                "--playlist says which songs go together: leave out --titles, --user, --ratings and --attention."
            )
        recommend_songs(playlist, k, model)
        return
    if by_title:
        if user is not None or ratings is not None:
            raise DataError("--titles says what somebody liked: leave out --user and --ratings.")
        recommend_next(titles or [], k, model, attention)
        return
    if titles:
        raise DataError(f"What is {titles[0]!r}? Put --titles before titles.")
    if attention is not None:
        raise DataError("--attention goes with --titles: rating models show theirs by `attrec explain`.")
    served, user_id, history = _ask(model, user, ratings)
    best = served.model.recommend(user_id, k, history=history)
    show_items(served.with_titles(best), "score")


def explain(
    item: Annotated[str, typer.Option(help="The item whose prediction is asked about.")],
    user: UserOption = None,
    ratings: RatingsOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many of the ratings, largest weight first.")] = 10,
    model: ModelOption = "champion",
) -> None:
    """Show which of a user's ratings a prediction of an attentive model rests on, and with what weight.

    Examples: `attrec explain --user 196 --item 242`, `attrec explain --ratings mine.csv --item 50 --model
    attentive+mlp2`.
    """
    served, user_id, history = _ask(model, user, ratings)
    rating_model = served.model
    item_id = _known(rating_model.catalogue.items, item, "item")
    weights = rating_model.explain(user_id, item_id, history)
    pairs = pd.DataFrame({"user_id": [user_id], "item_id": [item_id]})
    pairs["prediction"] = rating_model.predict(pairs, history)
    show_items(served.with_titles(pairs), "prediction")
    part = "It rests"
    member = rating_model.attentive_member()
    if member is not None:
        own = member.model.predict(pairs, history)[0]
        part = f"A blend of models: of them {member.name} (weight {member.weight:.2f}, by itself {own:.2f}) rests"
    typer.echo(f"{part} on {len(weights)} ratings; the {min(k, len(weights))} that count most:")
    show_items(served.with_titles(weights.head(k)), "rating", "weight")
    rest = 1 - weights["weight"].sum()
    if rest >= _SHOWN_WEIGHT:
        typer.echo(
            f"The other {rest:.3f} is on the default vector: what the model says of somebody without ratings."
        )
    if history is not None and (history["item_id"] == item_id).any():
        typer.echo(f"The rating of {item_id} itself is left out: a prediction never sees it.")


def _load(alias: str) -> ServedRatings:
    # Here, not above: torch comes with it and takes seconds, which a fault of what is asked need not wait for.
    from attrec.serving.ratings import ServedRatings

    return load_registered(ServedRatings, alias)


def _fill_submission(submission: Path, output: Path, alias: str) -> None:
    """Predict the pairs of a submission file into another; an id the model does not know is no fault."""
    from cli.ask.lookup import about

    # Loading and predicting take long: a fault of the files is told before.
    if output.is_dir() or not output.parent.is_dir():
        raise DataError(f"{output} cannot be written: give the path of a file in a folder that exists.")
    if output.exists() and submission.exists() and output.samefile(submission):
        raise DataError(f"{output} has the pairs themselves: write the predictions into another file.")
    pairs = read_submission(submission)
    again = pairs["id"].duplicated()
    if again.any():
        raise DataError(f"{submission} asks for {pairs['id'][again].iloc[0]} twice: keep one row.")
    served = _load(alias)
    rating_model, catalogue = served.model, served.model.catalogue
    if not all(pd.api.types.is_integer_dtype(ids) for ids in (catalogue.users, catalogue.items)):
        raise DataError(
            f"The model {alias} has textual ids, a submission has numbers: choose another with --model."
        )
    users, items = catalogue.encode(pairs)
    by_user = np.argsort(users, kind="stable")
    predictions = np.empty(len(pairs))
    with tqdm(total=len(pairs), unit=" pairs", unit_scale=True, desc="predict", disable=None) as bar:
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            rows = by_user[start : start + _PAIRS_AT_ONCE]
            predictions[rows] = rating_model.predict(pairs.iloc[rows][["user_id", "item_id"]])
            bar.update(len(rows))
    write_submission(pairs["id"], predictions, output)
    typer.echo(f"{output}: {len(pairs):,} predictions of {about(served.family, alias)}")
    unknown = int(((users < 0) | (items < 0)).sum())
    if unknown:
        typer.echo(f"{unknown:,} of them are for a user or an item that the model does not know.")


def _ask(
    alias: str, user: str | None, ratings: Path | None
) -> tuple[ServedRatings, int | str, pd.DataFrame | None]:
    """The model, the id under which it is asked, and the ratings of somebody new.

    Raises:
        DataError: neither or both of user and ratings, a file that cannot be used, or an id the model does not know.
        ServiceError: there is no such model.
    """
    if (user is None) == (ratings is None):
        raise DataError("Say who asks: either --user ID, or --ratings FILE with the ratings of somebody new.")
    if user is not None:
        served = _load(alias)
        return served, _known(served.model.catalogue.users, user, "user"), None
    assert ratings is not None
    # Loading takes seconds: a fault of the file is told before.
    frame = read_rows(ratings, ["item_id", "rating"], "ratings")
    served = _load(alias)
    history = _as_history(served, ratings, frame)
    return served, history["user_id"].iloc[0], history


def _as_history(served: ServedRatings, file: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """user_id, item_id and rating in the types and range of the model."""
    low, high = served.model.rating_range
    catalogue = served.model.catalogue
    values = pd.to_numeric(frame["rating"], errors="coerce")
    bad = values.isna() | ~values.between(low, high)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        line, written = frame.index[row], frame["rating"].iloc[row]
        said = "there is no rating" if pd.isna(written) else f"the rating {written!r} is not one"
        raise DataError(f"{file}, line {line}: {said}: give a number in {low:g} to {high:g}.")
    items = [
        _known(catalogue.items, word, "item", f"{file}, line {line}: ")
        for line, word in frame["item_id"].items()
    ]
    if len(set(items)) < len(items):
        twice = next(item for item in items if items.count(item) > 1)
        raise DataError(f"{file} rates the item {twice} twice: keep one row.")
    newcomer: int | str = "(new user)"
    if pd.api.types.is_integer_dtype(catalogue.users):
        newcomer = int(catalogue.users.min()) - 1
    return pd.DataFrame({"user_id": newcomer, "item_id": items, "rating": values.astype("float32")})


def _known(index: pd.Index, word: str, what: str, place: str = "") -> int | str:
    """The id that `word` spells, in the type the model uses."""
    word = str(word).strip()
    key: int | str = word
    if pd.api.types.is_integer_dtype(index):
        if not re.fullmatch("-?[0-9]+", word):
            raise DataError(f"{place}{word!r} is no {what} id: ids are whole numbers in this model.")
        key = int(word)
    if key not in index:
        raise DataError(
            f"{place}The model does not know the {what} {word}: its {what}s are like {', '.join(map(str, index[:3]))}."
        )
    return key
