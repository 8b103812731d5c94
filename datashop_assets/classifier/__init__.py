"""an encoder and a head that imitate the rater."""
