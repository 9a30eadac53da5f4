"""Songs and playlists drawn from a stated model, so that the best possible recommender is known.

The generative model (all draws from one seeded generator):

- A song s has a character q_s of d = `dimensions` numbers, each of variance 1: a quarter is its genre's, 35 % its
  artist's, the rest its own. Artists have a genre and, after Zipf, few or many songs.
- Audio features show the character in part: each is a distorted mixture of q_s, which explains the share `visible` of
  its variance, and of noise; key and mode are noise altogether. Artist, year and popularity are told, genre too.
- A playlist p has one mood, or two (with chance `two_moods`): places t near some song's character. Song s suits it by

      w_ps = fame_s · mean over moods of exp(-‖q_s - t‖² / (2 width²))

  and is in it, independently of all other songs, with probability π_ps = 1 - exp(-λ_p w_ps); λ_p makes the expected
  length Σ_s π_ps what was drawn for p, at least `min_length`, log-normal above it.

`expected` in the truth table is π_ps. Given the moods, what was shown of a playlist says nothing about the rest of it,
so that no recommender can do better in expectation than one that ranks by π; it knows the moods, which others have to
guess. The table has the `truth_songs` likeliest songs of each playlist and all that it has.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import expit

from attrec.datasets.tables import Tables, source_columns
from attrec.errors import DataError
from attrec.parameters import Seed

SOURCE = "simulated-playlists"
GENRES = ("edm", "latin", "pop", "r&b", "rap", "rock")
_OF_GENRE, _OF_ARTIST, _OWN = 0.25, 0.35, 0.4
_PLAYLISTS_AT_ONCE = 256
_FIRST_WORDS = (
    "Amber", "Backstage", "Blue", "Chrome", "Double", "Echo", "Fever", "Glass", "Honey", "Idle", "Late", "Lucky",
    "Maple", "Neon", "Ocean", "Paper", "Radio", "Satin", "Slow", "Static", "Sugar", "Tidal", "Velvet", "Zero",
)  # fmt: skip
_LAST_WORDS = (
    "Anthem", "Ballroom", "Chorus", "Daydream", "Engine", "Feather", "Groove", "Heart", "Interlude", "Jukebox", "Kite",
    "Lullaby", "Motel", "Night", "Orbit", "Pulse", "Rhythm", "Signal", "Thunder", "Undertow", "Voltage", "Wave",
)  # fmt: skip


class PlaylistSimulatorConfig(BaseModel):
    """Size and character of the simulated music."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_songs: int = Field(default=3_000, ge=20, le=1_000_000)
    n_playlists: int = Field(default=2_000, ge=1, le=2_000_000)
    n_artists: int = Field(default=300, ge=1)
    seed: Seed = 0
    dimensions: int = Field(default=6, ge=1, le=64)
    """Length of the character of a song."""
    visible: float = Field(default=0.8, ge=0, le=1)
    """Share of the variance of an audio feature that the song's character explains."""
    width: float = Field(default=0.6, gt=0)
    """How far from its mood a playlist reaches, in standard deviations of a song's character."""
    two_moods: float = Field(default=0.3, ge=0, le=1)
    """Chance that a playlist has two moods."""
    fame: float = Field(default=0.8, ge=0)
    """Standard deviation of the logarithm of fame."""
    min_length: float = Field(default=6, ge=1)
    """Least expected length of a playlist."""
    mean_length: float = Field(default=16, ge=1)
    """Expected length of a playlist, on average."""
    truth_songs: int = Field(default=200, ge=0)
    """Songs of each playlist in the truth table, beside its own."""

    @model_validator(mode="after")
    def _check_room(self) -> PlaylistSimulatorConfig:
        if self.mean_length < self.min_length:
            raise ValueError("mean_length must be at least min_length")
        if self.mean_length > 0.1 * self.n_songs:
            raise ValueError("mean_length may be at most a tenth of n_songs")
        return self


def simulate_playlists(config: PlaylistSimulatorConfig) -> Tables:
    """Draw songs and playlists; equal configurations give equal tables.

    Memory grows with the tables alone: playlists are drawn some at a time.

    Returns:
        ``ratings``: user_id (the playlist), item_id (the song), position; file, line. ``users``: user_id, name; file,
        line. ``items``: item_id, title, artist, year, genres, popularity and Spotify's audio features; file, line.
        ``truth``: user_id, item_id, expected. Ids count from 1; a playlist that got no song has no row of actions.
    """
    rng = np.random.default_rng(config.seed)
    items, character, fame = _draw_songs(config, rng)
    lengths = _draw_lengths(config, rng)
    chosen, truth = [], []
    for first in range(0, config.n_playlists, _PLAYLISTS_AT_ONCE):
        chances = _chances(lengths[first : first + _PLAYLISTS_AT_ONCE], character, fame, config, rng)
        has: np.ndarray = rng.random(chances.shape) < chances
        playlist, song = np.nonzero(has)
        shuffled = np.lexsort((rng.random(len(song)), playlist))
        chosen.append(np.stack([playlist[shuffled] + first, song[shuffled]], axis=1))
        told = has.copy()
        if config.truth_songs:
            most = min(config.truth_songs, config.n_songs)
            likeliest = np.argpartition(-chances, most - 1, axis=1)[:, :most]
            np.put_along_axis(told, likeliest, True, axis=1)
        playlist, song = np.nonzero(told)
        expected = chances[playlist, song].astype(np.float32)
        truth.append(
            pd.DataFrame({"user_id": playlist + first + 1, "item_id": song + 1, "expected": expected})
        )
    playlist, song = np.concatenate(chosen).T
    ratings = pd.DataFrame({"user_id": playlist + 1, "item_id": song + 1})
    ratings["position"] = ratings.groupby("user_id").cumcount() + 1
    users = pd.DataFrame({"user_id": np.arange(1, config.n_playlists + 1)})
    users["name"] = [f"Simulated playlist {number}" for number in users["user_id"]]
    return Tables(
        ratings.assign(**source_columns(SOURCE, len(ratings))),
        users.assign(**source_columns(SOURCE, len(users))),
        items.assign(**source_columns(SOURCE, len(items))),
        pd.concat(truth, ignore_index=True),
    )


def _draw_songs(
    config: PlaylistSimulatorConfig, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The table of songs, their character (songs, d) and their fame (songs,)."""
    n, d, n_artists = config.n_songs, config.dimensions, min(config.n_artists, config.n_songs)
    sizes = 1 / (np.arange(n_artists) + 5.0)
    artist = np.sort(rng.choice(n_artists, n, p=sizes / sizes.sum()))
    genre = rng.integers(0, len(GENRES), n_artists)
    of_genre, of_artist = rng.standard_normal((len(GENRES), d)), rng.standard_normal((n_artists, d))
    shared = np.sqrt(_OF_GENRE) * of_genre[genre] + np.sqrt(_OF_ARTIST) * of_artist
    character = shared[artist] + np.sqrt(_OWN) * rng.standard_normal((n, d))
    log_fame = 0.6 * rng.standard_normal(n_artists)[artist] + 0.8 * rng.standard_normal(n)
    debut = 2019 - np.minimum(rng.exponential(12.0, n_artists), 60)
    year = np.minimum(np.floor(debut[artist] + rng.exponential(4.0, n)), 2020)
    # Ids say nothing about artists.
    order = rng.permutation(n)
    character, log_fame, artist, year = character[order], log_fame[order], artist[order], year[order]
    names = _names(n_artists + n, rng)
    places = np.argsort(np.argsort(log_fame)) / max(n - 1, 1)
    items = pd.DataFrame(
        {
            "item_id": np.arange(1, n + 1),
            "title": pd.Series(names[n_artists:], dtype=str),
            "artist": pd.Series([names[code] for code in artist], dtype=str),
            "year": year,
            "genres": pd.Series([[GENRES[code]] for code in genre[artist]], dtype=object),
            "popularity": np.rint(100 * places**1.3),
            **_audio_features(character, config.visible, rng),
        }
    )
    return items, character, np.exp(config.fame * log_fame)


def _names(n: int, rng: np.random.Generator) -> list[str]:
    """Made-up names, none twice; they are numbered as words run out."""
    pairs = rng.permutation(len(_FIRST_WORDS) * len(_LAST_WORDS))
    names = []
    for index in range(n):
        turn, within = divmod(index, len(pairs))
        first, last = divmod(int(pairs[within]), len(_LAST_WORDS))
        number = f" No. {turn + 1}" if turn else ""
        names.append(f"{_FIRST_WORDS[first]} {_LAST_WORDS[last]}{number}")
    return names


def _audio_features(character: np.ndarray, visible: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Values in the units, ranges and skewness of Spotify's."""
    n, d = character.shape

    def latent() -> np.ndarray:
        direction = rng.standard_normal(d)
        shown = character @ (direction / np.linalg.norm(direction))
        spread = shown.std() or 1.0
        mixed: np.ndarray = np.sqrt(visible) * shown / spread + np.sqrt(1 - visible) * rng.standard_normal(n)
        return mixed

    return {
        "danceability": expit(0.6 + 0.65 * latent()),
        "energy": expit(0.9 + 0.9 * latent()),
        "key": rng.integers(0, 12, n).astype(float),
        "loudness": -3.0 - np.exp(1.2 + 0.5 * latent()),
        "mode": rng.choice((0.0, 1.0), n, p=(0.43, 0.57)),
        "speechiness": expit(-2.6 + 0.8 * latent()),
        "acousticness": expit(-2.0 + 1.6 * latent()),
        "instrumentalness": np.where(rng.random(n) < 0.6, 0.0, expit(-5.0 + 3.0 * latent())),
        "liveness": expit(-1.7 + 0.7 * latent()),
        "valence": expit(1.0 * latent()),
        "tempo": np.clip(120 + 27 * latent(), 50, 220),
        "duration_ms": np.rint(220_000 * np.exp(0.22 * latent())),
    }


def _draw_lengths(config: PlaylistSimulatorConfig, rng: np.random.Generator) -> np.ndarray:
    """Expected lengths (playlists,)."""
    tail = rng.lognormal(0.0, 1.0, config.n_playlists) / np.exp(0.5)
    lengths = config.min_length + (config.mean_length - config.min_length) * tail
    return np.minimum(lengths, 0.2 * config.n_songs)


def _chances(
    lengths: np.ndarray,
    character: np.ndarray,
    fame: np.ndarray,
    config: PlaylistSimulatorConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """π (playlists, songs) of playlists with these expected lengths.

    Raises:
        DataError: some playlist has too few songs near its moods.
    """
    moods = np.where(rng.random(len(lengths)) < config.two_moods, 2, 1)
    weights = np.zeros((len(lengths), len(fame)))
    for mood in range(2):
        near = character[rng.choice(len(fame), len(lengths), p=fame / fame.sum())]
        place = np.sqrt(0.8) * near + np.sqrt(0.2) * rng.standard_normal(near.shape)
        squares = (place**2).sum(axis=1)[:, None] - 2 * place @ character.T + (character**2).sum(axis=1)
        weights += (mood < moods)[:, None] * fame * np.exp(-squares / (2 * config.width**2))
    with np.errstate(invalid="ignore"):  # no song at all is near: refused below
        weights /= weights.max(axis=1, keepdims=True)
    return -np.expm1(-np.exp(_log_scale(weights, lengths))[:, None] * weights)


def _log_scale(weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The λ (playlists,) with which `weights` (playlists, songs) give these expected lengths, as logarithms.

    Raises:
        DataError: some playlist has no such λ.
    """
    # Here, not above: it is a third of what it takes to import the table of data sets, which every command does.
    from scipy.optimize.elementwise import find_root

    def too_long(log_scale: np.ndarray, playlist: np.ndarray) -> np.ndarray:
        scaled = np.exp(log_scale)[:, None] * weights[playlist]
        excess: np.ndarray = np.log(-np.expm1(-scaled).sum(axis=1) / lengths[playlist])
        return excess

    # Σ π grows with λ, and is below λ Σ w.
    least = np.log(lengths / weights.sum(axis=1))
    found = find_root(too_long, (least, np.full(len(lengths), 60.0)), args=(np.arange(len(lengths)),))
    if not found.success.all():
        raise DataError(
            f"No chances give playlists of {lengths[~found.success].max():.0f} songs: so few are near enough to a mood;"
            " raise width, or lower dimensions or mean_length."
        )
    root: np.ndarray = found.x
    return root
