"""Drawing: posters, backgrounds, motifs, words."""
