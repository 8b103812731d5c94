"""Tracing: why a document was kept, what changed between two releases, any table as it stood. Read only."""
