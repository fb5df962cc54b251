"""Keep secrets out of all that is printed, logged, or written where others can read it.

Whoever reads or receives a secret tells `hide`; `masked` takes those out of any text. What the
stager reports (`stager.errors`), logs (`MaskingFilter`) and dies with (`mask_tracebacks`) goes
through it.
"""

import base64
import json
import logging
import re
import sys
import threading
import traceback
from types import TracebackType
from typing import Final
from urllib.parse import quote, quote_plus

_MOST: Final = 1000
"""Temporary keys come and go; those that were last used count."""
_SHORTEST: Final = 6
"""What is shorter would be found in every other word."""
_JWT: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
_STS: Final = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken)>[^<]*")
"""The answer of STS, which botocore's debug log shows before anybody could `hide` what it holds."""

_hidden: dict[str, str] = {}
_lock = threading.Lock()


def mask(secret: str) -> str:
    """Return what may be shown of a key.

    >>> mask("AKIAIOSFODNN7EXAMPLE"), mask("short")
    ('AKIA...', '...')
    """
    return f"{secret[:4]}..." if len(secret) > 8 else "..."


def hide(secret: str, shown: str | None = None) -> str:
    """Let `masked` take a secret out of texts from now on; return it.

    :param shown: what takes its place; an access key may show its first letters.
    """
    if len(secret) >= _SHORTEST:
        encoded = base64.b64encode(secret.encode()).decode()
        forms = (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
        with _lock:
            for form in (*forms, encoded):
                _hidden.pop(form, None)
                _hidden[form] = "..." if shown is None else shown
            for form in list(_hidden)[:-_MOST]:
                del _hidden[form]
    return secret


def masked(text: str) -> str:
    """Return a text without the secrets that are known, nor anything that looks like a token.

    >>> _ = hide("correct horse")
    >>> masked("password=correct+horse, token eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
    'password=..., token eyJ...'
    """
    with _lock:
        known = sorted(_hidden.items(), key=lambda entry: -len(entry[0]))
    for secret, shown in known:
        if secret in text:
            text = text.replace(secret, shown)
    return _JWT.sub("eyJ...", _STS.sub(r"<\1>...", text))


class MaskingFilter(logging.Filter):
    """A filter for handlers: what they write has no secrets, whoever logged it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the masked message in place of the record's own; never drop a record."""
        record.msg, record.args = masked(record.getMessage()), ()
        if record.exc_info and record.exc_info[0]:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip())
            record.exc_info = None
        return True


def log_to_stderr(level: int) -> None:
    """Let all loggers write to stderr, masked."""
    handler = logging.StreamHandler()
    handler.addFilter(MaskingFilter())
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=[handler]
    )


def mask_tracebacks() -> None:
    """Let a program that dies of what nobody foresaw say so without secrets."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show
