"""The selection stage: which documents of a rated pool to train on, within a budget."""
