"""Turn a folder of posters into a dataset, and draw synthetic posters for the quick start."""
