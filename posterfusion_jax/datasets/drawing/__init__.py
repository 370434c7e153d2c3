"""How the drawn posters look: a pen, the thirteen motifs, sceneries, the words, and the page layout."""
