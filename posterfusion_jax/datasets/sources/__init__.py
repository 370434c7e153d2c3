"""Sources of labelled posters: one file for each form in which people have them."""
