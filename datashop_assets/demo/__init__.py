"""The demo's own corpus, harvested from what a plain installation brings. Nothing else in the project needs it."""
