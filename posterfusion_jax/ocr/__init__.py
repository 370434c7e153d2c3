"""Read the text of poster images: the engines, their records, and the run that completes the records of a folder."""
