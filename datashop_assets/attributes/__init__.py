"""numbers of every document beside the lenses' scores: measured, imported, rated, or made of other scores."""
