"""datashop: turn a web-scale text corpus into a small, better training set, and prove that it is better."""

__version__ = "0.1.0"
