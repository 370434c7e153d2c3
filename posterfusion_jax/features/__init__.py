"""Features of frozen encoders, computed once and kept with a passport."""
