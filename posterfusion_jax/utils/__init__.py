"""Single-purpose helpers without knowledge of posters."""
