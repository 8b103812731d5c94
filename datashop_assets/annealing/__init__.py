"""short training runs that show what the data is worth."""
