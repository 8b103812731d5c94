"""Encoders: text to vector by a frozen transformer, and the scripted stand-in that tests use."""

from resources.encoders.scripted import ScriptedEncoder
from resources.encoders.transformer import TransformerEncoder

__all__ = ["ScriptedEncoder", "TransformerEncoder"]
