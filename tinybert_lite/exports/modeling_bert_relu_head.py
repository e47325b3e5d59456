"""The original TinyBERT's classifier on Hugging Face's BERT: pooler (tanh), ReLU, Linear. Exports carry a copy of this file."""

from torch import nn
from transformers import BertConfig, BertForSequenceClassification


class BertReluHeadConfig(BertConfig):
    model_type = "bert_relu_head"  # unknown to transformers, which refuses the folder unless it may run this file


class BertReluHeadForSequenceClassification(BertForSequenceClassification):
    config_class = BertReluHeadConfig

    def __init__(self, config):
        super().__init__(config)
        # Its weights are called classifier.1.*, so that a stock class that is forced on them misses its own and says so.
        self.classifier = nn.Sequential(nn.ReLU(), nn.Linear(config.hidden_size, config.num_labels))
        self.post_init()
