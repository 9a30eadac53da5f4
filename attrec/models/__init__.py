"""What all models share: training, storage, layers."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.models.base import Config as Config, Model as Model
    from attrec.models.training import TrainingConfig as TrainingConfig

__getattr__, __dir__, __all__ = lazily(__name__)
