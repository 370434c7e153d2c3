"""Apache Beam, an optional extra: OCR and dataset building on several machines."""
