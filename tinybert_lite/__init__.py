"""TinyBERT Lite: distil a BERT teacher into a small student, in five visible stages."""

__version__ = "0.1.0"
