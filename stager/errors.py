"""What can go wrong while staging; each message can be read to an operator as it is."""

from stager.masking import masked


class StagerError(Exception):
    """Root of all that the stager reports; no run file is ever touched by a failure.

    Its text may hold what a server said, so it is masked wherever it is printed or stored.
    """

    def __str__(self) -> str:
        return masked(super().__str__())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ConfigurationError(StagerError):
    """The stager was not told enough, or something that is not allowed."""


class CredentialsError(StagerError):
    """Keys are missing, readable by others, or refused by the server."""


class IssuerError(CredentialsError):
    """The OIDC issuer, or STS, does not answer; keys that are still good go on being used."""


class CatalogError(StagerError):
    """The run catalog cannot be read or written."""


class ClaimLostError(StagerError):
    """Another stager has taken over what we were working on."""


class CatalogBusyError(CatalogError):
    """Another stager wrote the same rows at the same moment; nothing of ours was written."""


class CatalogLostError(CatalogError):
    """The catalog's server, or the way to it, is gone; it may come back."""


class FileError(StagerError):
    """A local file is damaged, gone, or was changed while it was staged."""


class ChangingError(FileError):
    """A local file changed while it was read: it is not closed yet."""


class StoreError(StagerError):
    """The object store refused or failed to do something with one object."""


class StoreUnusableError(StoreError):
    """The object store can do nothing for us now: not reachable, no such bucket."""


class ConflictError(StoreError):
    """An object of this name exists with other content; it is never overwritten."""


class MissingError(StoreError):
    """A copy that should be at a place is not there."""


class Stopped(StagerError):  # noqa: N818 - not an error: somebody asked us to end
    """The program was asked to end in the middle of a step; what is begun is resumed later."""
