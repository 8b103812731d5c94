"""landing files to documents."""
