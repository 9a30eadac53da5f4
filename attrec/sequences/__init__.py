"""Next items: models that say what somebody does next, from what they did, in order."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.sequences.baselines import ItemKNN, ItemKNNConfig, MarkovChain, MarkovChainConfig, Popularity
    from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
    from attrec.sequences.item_losses import ItemLossConfig
    from attrec.sequences.model import SequenceModel
    from attrec.sequences.ranking import RankedUsers, rank_users
    from attrec.sequences.recipes import BERT4REC_RECIPES, SASREC_RECIPES
    from attrec.sequences.sasrec import SASRec, SASRecConfig
    from attrec.sequences.specs import SEQUENCE_MODELS, SequenceSpec, check_sequence_names
    from attrec.sequences.transformer import TransformerConfig

__getattr__, __dir__, __all__ = lazily(__name__)
