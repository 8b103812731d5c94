"""the classifier over the whole corpus."""
