"""What the simulator can report."""


class SimulationError(Exception):
    """The simulated experiment could not do what was asked; the message is for the operator."""
