"""The original TinyBERT's classifier on Hugging Face's BERT: pooler (tanh), ReLU, Linear.

Exports carry a copy of this file.
"""

from torch import nn
from transformers import BertConfig, BertForSequenceClassification


class BertReluHeadConfig(BertConfig):
    # transformers does not know this type, so it opens the folder only if it may run this file.
    model_type = "bert_relu_head"


class BertReluHeadForSequenceClassification(BertForSequenceClassification):
    config_class = BertReluHeadConfig

    def __init__(self, config):
        super().__init__(config)
        # Its weights are called classifier.1.*: a stock class that is forced on them does not find
        # its own and says so.
        self.classifier = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden_size, config.num_labels))
        self.post_init()
