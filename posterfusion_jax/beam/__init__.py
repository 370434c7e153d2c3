"""Run OCR and dataset building on several machines with Apache Beam, an optional extra."""
