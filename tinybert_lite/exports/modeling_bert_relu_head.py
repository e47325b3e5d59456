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
        # The weights are named classifier.1.*, so transformers' own class, if it is made to read
        # them, reports that classifier.* is missing.
        self.classifier = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden_size, config.num_labels))
        self.post_init()
