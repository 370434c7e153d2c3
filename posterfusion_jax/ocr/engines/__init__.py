"""Provide the OCR engines: offline (RapidOCR, Tesseract) and remote (Gemini)."""
