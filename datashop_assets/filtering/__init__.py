"""scores to a cut-off, a filtered dataset and a release."""
