"""PosterFusion: the genres of a film from its poster alone, the picture and the words on it."""

__version__ = "0.1.0"
