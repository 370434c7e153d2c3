"""Requests to a paid OCR service: rate limits, retries, budgets, batch jobs."""
