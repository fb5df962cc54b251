"""Errors of the port; the same in both worlds."""


class ExperimentError(Exception):
    """Root of everything the experiment can refuse; read it to an operator as it is."""


class MidasError(ExperimentError):
    """A MIDAS call returned a status other than success.

    :param code: the MIDAS status code, e.g. 209 for BM_ASYNC_RETURN.
    :param message: what failed, the value seen, what to do.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (MIDAS status {self.code})"


class TransitionFailedError(MidasError):
    """A run transition was refused or failed; the message names the client and its reason."""


class TransitionDeferredError(MidasError):
    """A run transition was deferred by a client and will happen later."""


class SettingsError(ExperimentError):
    """A setting in the ODB is missing, of the wrong type or out of bounds."""
