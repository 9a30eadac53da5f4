"""SASRec keeps the contract, with vectors of users and by a sampled loss too."""

from __future__ import annotations

from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.sasrec import SASRecConfig
from tests.attrec.sequences.contract import NETWORK, SequenceContract


class TestSASRec(SequenceContract):
    kind = "sasrec"
    config = SASRecConfig(network=NETWORK, batch=16)
    knows_what_follows = 1.0


class TestSASRecOfUsers(TestSASRec):
    config = SASRecConfig(network=NETWORK, batch=16, user_embedding=True)


class TestSASRecByGBCE(TestSASRec):
    config = SASRecConfig(network=NETWORK, batch=16, loss=ItemLossConfig(kind="gbce", negatives=8))
