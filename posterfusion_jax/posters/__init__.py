"""Find the posters in a user's folder, and decode them."""
