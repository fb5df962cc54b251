"""What a frontend can report."""


class FrontendError(Exception):
    """A frontend cannot do what was asked; the message is for the operator as it is."""
