"""Poster image to text: the engines, the records they leave, and the run that fills a folder's records."""
