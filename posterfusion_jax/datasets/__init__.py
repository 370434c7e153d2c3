"""From a folder of posters to a dataset: drawn posters for the quick start, and the builder of the poster dataset."""
