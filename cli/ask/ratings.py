"""`attrec predict`, `attrec recommend` and `attrec explain`: ask the registered model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attrec.errors import DataError
from cli.ask.playlists import recommend_songs
from cli.ask.registered import ModelOption, load_registered, refuse_unless_it_explains, show_items
from cli.ask.sequences import recommend_next
from cli.tables import Form, FormatOption, say

if TYPE_CHECKING:
    import pandas as pd

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
    form: FormatOption = Form.table,
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
    served, user_id, history = _ask(model, user, ratings, form)
    import pandas as pd

    items = [_known(served.model.catalogue.items, word, "item") for word in item]
    pairs = pd.DataFrame({"user_id": user_id, "item_id": items})
    pairs["prediction"] = served.model.predict(pairs, history)
    show_items(served.with_titles(pairs), form, "prediction")


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
    form: FormatOption = Form.table,
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
        recommend_songs(playlist, k, model, form)
        return
    if by_title:
        if user is not None or ratings is not None:
            raise DataError("--titles says what somebody liked: leave out --user and --ratings.")
        recommend_next(titles or [], k, model, attention, form)
        return
    if titles:
        raise DataError(f"What is {titles[0]!r}? Put --titles before titles.")
    if attention is not None:
        raise DataError("--attention goes with --titles: rating models show theirs by `attrec explain`.")
    served, user_id, history = _ask(model, user, ratings, form)
    best = served.model.recommend(user_id, k, history=history)
    show_items(served.with_titles(best), form, "score")


def explain(
    item: Annotated[str, typer.Option(help="The item whose prediction is asked about.")],
    user: UserOption = None,
    ratings: RatingsOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many of the ratings, largest weight first.")] = 10,
    model: ModelOption = "champion",
    form: FormatOption = Form.table,
) -> None:
    """Show which of a user's ratings a prediction of an attentive model rests on, and with what weight.

    Examples: `attrec explain --user 196 --item 242`, `attrec explain --ratings mine.csv --item 50 --model
    attentive+mlp2`.
    """
    served, user_id, history = _ask(model, user, ratings, form, explains=True)
    import pandas as pd

    rating_model = served.model
    item_id = _known(rating_model.catalogue.items, item, "item")
    weights = rating_model.explain(user_id, item_id, history)
    pairs = pd.DataFrame({"user_id": [user_id], "item_id": [item_id]})
    pairs["prediction"] = rating_model.predict(pairs, history)
    part = "It rests"
    member = rating_model.attentive_member()
    if member is not None:
        own = member.model.predict(pairs, history)[0]
        part = f"A blend of models: of them {member.name} (weight {member.weight:.2f}, by itself {own:.2f}) rests"
    total = weights["weight"].sum()
    most = weights.assign(times_mean=weights["weight"] * len(weights) / total).head(k)
    asked = served.with_titles(pairs).iloc[0]
    say(f"{asked['title']} ({item_id}): prediction {asked['prediction']:.2f}", form)
    say(
        f"{part} on {len(weights)} ratings; the {len(most)} that count most have {most['weight'].sum():.0%} of the "
        f"weight, where weight spread evenly would give them {total * len(most) / len(weights):.0%}:",
        form,
    )
    show_items(served.with_titles(most), form, "rating", "weight", "times_mean")
    rest = 1 - total
    if rest >= _SHOWN_WEIGHT:
        say(
            f"The other {rest:.3f} is on the default vector: what the model says of somebody without ratings.",
            form,
        )
    if history is not None and (history["item_id"] == item_id).any():
        say(f"The rating of {item_id} itself is left out: a prediction never sees it.", form)


def _load(alias: str, form: Form = Form.table) -> ServedRatings:
    # Here, not above: torch comes with it and takes seconds, which a fault of what is asked need not wait for.
    from attrec.serving.ratings import ServedRatings

    return load_registered(ServedRatings, alias, form)


def _fill_submission(submission: Path, output: Path, alias: str) -> None:
    """Predict the pairs of a submission file into another; an id the model does not know is no fault."""
    import numpy as np
    import pandas as pd
    from tqdm import tqdm

    from attrec.datasets.cil import read_submission, write_submission
    from flows.lookup import about

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
    say(f"{output}: {len(pairs):,} predictions of {about(served.family, alias)}")
    unknown = int(((users < 0) | (items < 0)).sum())
    if unknown:
        say(f"{unknown:,} of them are for a user or an item that the model does not know.")


def _ask(
    alias: str, user: str | None, ratings: Path | None, form: Form, explains: bool = False
) -> tuple[ServedRatings, int | str, pd.DataFrame | None]:
    """The model, the id under which it is asked, and the ratings of somebody new.

    Raises:
        DataError: neither or both of user and ratings, a file that cannot be used, an id the model does not know, or a
            model that cannot explain where it is to.
        ServiceError: there is no such model.
    """
    if (user is None) == (ratings is None):
        raise DataError("Say who asks: either --user ID, or --ratings FILE with the ratings of somebody new.")
    from attrec.datasets.given import read_given

    # Loading takes seconds: a fault of what is asked is told before.
    frame = None if ratings is None else read_given(ratings, ("item_id", "rating"))
    if explains:
        refuse_unless_it_explains("rating", alias)
    served = _load(alias, form)
    if user is not None:
        return served, _known(served.model.catalogue.users, user, "user"), None
    assert ratings is not None
    assert frame is not None
    history = _as_history(served, ratings, frame)
    return served, history["user_id"].iloc[0], history


def _as_history(served: ServedRatings, file: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """user_id, item_id and rating in the types and range of the model."""
    import pandas as pd

    low, high = served.model.rating_range
    catalogue = served.model.catalogue
    bad = frame[~frame["rating"].between(low, high)]
    if len(bad):
        raise DataError(
            f"{file}, line {bad.index[0]}: {bad['rating'].iloc[0]:g} is no rating: give a number in {low:g} to"
            f" {high:g}."
        )
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
    return pd.DataFrame({"user_id": newcomer, "item_id": items, "rating": frame["rating"].astype("float32")})


def _known(index: pd.Index, word: str, what: str, place: str = "") -> int | str:
    """The id that `word` spells, in the type the model uses."""
    from attrec.serving.asked import as_id

    try:
        key = as_id(str(word), index, what)
    except DataError as error:
        raise DataError(f"{place}{error}") from None
    if key not in index:
        raise DataError(
            f"{place}The model does not know the {what} {key}: its {what}s are like {', '.join(map(str, index[:3]))}."
        )
    return key
