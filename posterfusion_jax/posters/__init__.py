"""The user's folder of posters: which file is which poster, and decoding it."""
