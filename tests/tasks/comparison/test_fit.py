"""Which fits an edit redoes: those of the edited model, and of models that are made of it."""

from __future__ import annotations

import pytest

from attrec.models.specs import Table
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS
from tasks.comparison import fit
from tasks.data.prepared import RatingTraining
from tasks.engine.imports import import_closure
from tasks.engine.training_data import TrainingData
from tasks.families.playlists.data import PlaylistTraining
from tasks.families.sequences.data import SequenceTraining

FAMILIES: dict[str, tuple[Table, type[TrainingData]]] = {
    "ratings": (RATING_MODELS, RatingTraining),
    "sequences": (SEQUENCE_MODELS, SequenceTraining),
    "playlists": (PLAYLIST_MODELS, PlaylistTraining),
}


def redone(edited: str) -> set[str]:
    """Kinds of the edited module's family whose fits have a key that hangs on it."""
    table, data = FAMILIES[edited.split(".")[1]]
    kinds = set()
    for row in table:
        # What the key of a fit is made of: the task, and the classes of what it is handed.
        classes = (row.model, row.model.config_class, data)
        modules = {fit.__name__, *(kind.__module__ for kind in classes)}
        if any(edited in import_closure(module) for module in modules):
            kinds.add(row.kind)
    return kinds


@pytest.mark.parametrize(
    ("edited", "kinds"),
    [
        ("attrec.ratings.glocal_k.model", {"glocal-k"}),
        ("attrec.ratings.imputed_svd", {"imputed-svd"}),
        ("attrec.ratings.neighbourhoods.model", {"residual-neighbours"}),
        ("attrec.ratings.surprise.baselines", {"surprise"}),
        ("attrec.ratings.bayesian.matrix_factorization", {"bayesian-mf"}),
        ("attrec.ratings.bayesian.factorization_machine", {"bayesian-fm", "rsattae+xgboost"}),
        ("attrec.ratings.rsattae.model", {"rsattae+xgboost"}),
        ("attrec.ratings.pairs.model", {"pair-network"}),
        ("attrec.ratings.blend", {"blend"}),
        ("attrec.sequences.sasrec", {"sasrec"}),
        ("attrec.sequences.bert4rec", {"bert4rec"}),
        ("attrec.sequences.network", {"sasrec", "bert4rec"}),
        ("attrec.sequences.baselines", {"popularity", "markov-chain", "item-knn"}),
        ("attrec.playlists.ars", {"ars"}),
        ("attrec.playlists.clusters", {"kmeans", "agglomerative", "dbscan"}),
        (
            "attrec.playlists.baselines",
            {"random", "popularity", "itemknn", "mean-vector", "itemknn+mean-vector"},
        ),
    ],
)
def test_an_edit_redoes_the_fits_of_what_is_made_of_it_alone(edited: str, kinds: set[str]) -> None:
    assert redone(edited) == kinds


@pytest.mark.parametrize(("family", "table"), [(name, table) for name, (table, _) in FAMILIES.items()])
def test_what_no_fit_needs_redoes_none(family: str, table: Table) -> None:
    for module in (f"attrec.{family}.specs", "tasks.comparison.champion", "tasks.comparison.score"):
        for row in table:
            assert module not in import_closure(row.model.__module__), (module, row.kind)
        assert module not in import_closure(fit.__name__)


def test_what_all_of_a_family_share_redoes_them_all() -> None:
    for family, (table, _) in FAMILIES.items():
        assert redone(f"attrec.{family}.model") == {row.kind for row in table}
