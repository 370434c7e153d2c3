"""The classifiers' heads: the paper's fusion and what it is compared with."""
