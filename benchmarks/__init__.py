"""Side-by-side timings; each script answers one question (README.md)."""
