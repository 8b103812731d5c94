"""Everything that touches the world: storage, landing areas, models, processes, the environment."""
