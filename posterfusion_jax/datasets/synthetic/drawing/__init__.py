"""Draw posters: layout, backgrounds, motifs, words."""
