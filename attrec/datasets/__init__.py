"""Where ratings come from: registry, downloads, parsers to canonical tables, the simulator."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.datasets.registry import load_dataset as load_dataset
    from attrec.datasets.simulator import SimulatorConfig as SimulatorConfig, simulate as simulate
    from attrec.datasets.tables import Tables as Tables

__getattr__, __dir__, __all__ = lazily(__name__)
