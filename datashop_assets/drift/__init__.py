"""Drift of a new crawl against what cut-offs and classifiers were made on: scores, languages, rating failures."""
