"""IMDb posters as a TFDS dataset: the user's titles, poster files and OCR records, joined, split and stored."""
