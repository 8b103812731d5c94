"""Housekeeping: tables compacted and vacuumed, old runs and what nobody needs any more taken away."""
