"""Build IMDb posters into a TFDS dataset: titles, poster files and OCR records are joined, split and stored."""
