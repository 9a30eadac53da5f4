"""Errors, bootstrap intervals, paired tests, error by activity."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.metrics.rating import mae as mae, rmse as rmse

__getattr__, __dir__, __all__ = lazily(__name__)
