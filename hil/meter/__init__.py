"""The simulated heat meter: physics, objects and the protocols it serves."""
