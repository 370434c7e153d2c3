"""From the lines of a record to the poster's text."""
