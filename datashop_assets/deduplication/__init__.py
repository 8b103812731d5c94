"""The deduplication stage: documents, and parts of them, that should not be trained on twice, or at all."""
