"""text to vector, once for all lenses."""
