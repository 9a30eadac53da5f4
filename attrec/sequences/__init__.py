"""Next items: models that say what somebody does next, from what they did, in order."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.sequences.baselines import (
        ItemKNN as ItemKNN,
        ItemKNNConfig as ItemKNNConfig,
        MarkovChain as MarkovChain,
        MarkovChainConfig as MarkovChainConfig,
        Popularity as Popularity,
    )
    from attrec.sequences.bert4rec import BERT4Rec as BERT4Rec, BERT4RecConfig as BERT4RecConfig
    from attrec.sequences.item_losses import ItemLossConfig as ItemLossConfig
    from attrec.sequences.model import SequenceModel as SequenceModel
    from attrec.sequences.ranking import RankedUsers as RankedUsers, rank_users as rank_users
    from attrec.sequences.recipes import (
        BERT4REC_RECIPES as BERT4REC_RECIPES,
        SASREC_RECIPES as SASREC_RECIPES,
    )
    from attrec.sequences.sasrec import SASRec as SASRec, SASRecConfig as SASRecConfig
    from attrec.sequences.specs import (
        SEQUENCE_MODELS as SEQUENCE_MODELS,
        SequenceSpec as SequenceSpec,
        check_sequence_names as check_sequence_names,
    )
    from attrec.sequences.transformer import TransformerConfig as TransformerConfig

__getattr__, __dir__, __all__ = lazily(__name__)
