"""Send requests to a paid OCR service: rate limits, retries, budgets, batch jobs."""
