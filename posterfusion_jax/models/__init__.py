"""Classification heads: the paper's fusion head and the heads that it is compared with."""
