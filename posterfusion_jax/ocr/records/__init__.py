"""Define OCR records, one JSON line per poster and engine, and the store that holds them."""
