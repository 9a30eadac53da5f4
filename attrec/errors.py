"""Errors a person can mend: each message is one sentence that says what is wrong and what to do."""

from __future__ import annotations

from attrec.shown import one_line

LONGEST = 2000
"""Letters of a message; of a longer one, what it quotes in its middle is left out."""


class AttrecError(Exception):
    """Base of every error caused by input, parameters or surroundings rather than by a defect.

    Messages quote data and are printed, logged and sent: none has a control character, none fills a screen.
    """

    def __str__(self) -> str:
        said = one_line(super().__str__())
        return said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} … {said[-LONGEST // 2 :]}"


class ParamsError(AttrecError, ValueError):
    """A parameter is unknown, of the wrong type or out of range."""


class DataError(AttrecError, ValueError):
    """A data file or table cannot be used as it is."""


class NotFitted(AttrecError, ValueError, AttributeError):
    """A model is asked or saved before it is fitted."""


class NoPlaylists(DataError):
    """Nothing in a dataset makes playlists that models could be compared on."""


class DatasetUnavailable(AttrecError):
    """A dataset is not present and could not be fetched."""


class ArchiveError(DataError):
    """An archive is missing a member, damaged, altered or unsafe to unpack."""


class TrainingDiverged(AttrecError):
    """A training loss is infinite or not a number; other parameters are needed."""


class NotFinite(ValueError):
    """Scores are infinite or not numbers: nothing can be ranked by them."""


class ServiceError(AttrecError):
    """A service the pipeline needs (Prefect server, MLflow store, disk, port) is not usable."""
