"""Raters: the ways to get a judgement from an LLM."""
