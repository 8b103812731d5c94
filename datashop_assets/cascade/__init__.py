"""The cascade stage: a cheap stage in front of the encoder, calibrated to a cut-off."""
