"""The steps of a run, from posters to a report. Each prints what it finds, and makes only the parts that are missing."""
