"""Attention-based recommender systems: the library. It knows nothing of Prefect, MLflow and DVC."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazily(__name__)
