"""documents rated by an LLM through lenses."""
