"""Keys for S3: static, or temporary ones that STS gives for a token.

Secrets come from the environment or from files that only their owner may read; never from the ODB,
which every program and the web page can read. They are masked wherever they could be printed
(`stager.masking`).
"""

from stager.credentials.keys import (
    Credentials,
    KeySource,
    find_credentials,
    read_credentials,
)
from stager.credentials.private import read_private, write_private
from stager.masking import mask

__all__ = [
    "Credentials",
    "KeySource",
    "find_credentials",
    "mask",
    "read_credentials",
    "read_private",
    "write_private",
]
