"""candidate against control."""
