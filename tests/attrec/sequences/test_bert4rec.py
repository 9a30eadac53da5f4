"""BERT4Rec keeps the contract."""

from __future__ import annotations

from attrec.sequences.bert4rec import BERT4RecConfig
from tests.attrec.sequences.contract import NETWORK, SequenceContract


class TestBERT4Rec(SequenceContract):
    kind = "bert4rec"
    config = BERT4RecConfig(network=NETWORK, batch=16, hidden_share=0.3, newest_hidden=0.3)
    knows_what_follows = 0.5
