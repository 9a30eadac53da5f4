"""What every model must do, of whatever family: the contracts of the families inherit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from attrec.errors import AttrecError, NotFitted
from attrec.models.base import Model


class ModelContract:
    """A subclass says which class of model it is of."""

    @classmethod
    def model_class(cls) -> type[Model]:
        raise NotImplementedError

    def test_constructors_are_alike(self) -> None:
        kind: Any = self.model_class()
        model = kind(seed=7)
        assert (model.config, model.seed) == (kind.config_class(), 7)
        assert kind(kind.config_class()).config == model.config
        for name in kind.config_class.model_fields:
            # Whatever it is, it may be said in the constructor too.
            assert kind(**{name: getattr(model.config, name)}).config == model.config
        with pytest.raises(ValueError, match=rf"^{kind.__name__}: there is no parameter 'nonsense'"):
            kind(nonsense=1)
        with pytest.raises(ValueError, match=rf"^{kind.__name__} takes a \w+, not a dict"):
            kind({})

    def test_a_model_that_is_not_fitted_says_so(self, tmp_path: Path) -> None:
        model: Any = self.model_class()()
        asked = [lambda: model.recommend([1]), lambda: model.save(tmp_path / "model")]
        for ask in asked:
            with pytest.raises(NotFitted, match="is not fitted: call `fit` first, or `load`") as refused:
                ask()
            assert isinstance(refused.value, AttrecError | ValueError)
        assert not (tmp_path / "model").exists()
