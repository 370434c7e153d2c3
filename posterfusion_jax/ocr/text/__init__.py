"""Turn the lines of a record into the poster's text."""
