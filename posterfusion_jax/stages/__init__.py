"""The stages of a run, from posters to a report. Each says what it finds, and makes only what is missing."""
