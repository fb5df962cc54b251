"""TLS is verified, towards S3, STS and the issuer; an authority of one's own can be named."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.s3 import S3Server
from stager.credentials.choose import token_source
from stager.credentials.issuer import Issuer
from stager.errors import CredentialsError
from stager.once import complaints
from stager.settings import StagerSettings
from tests.stager.access import Site, iam, make_certificate
from tests.stager.conftest import make_folder
from tests.stager.issuer import Issuer as OurIssuer
from tests.stager.issuer import serve
from tests.stager.staging import Folder


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that no system trusts."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def secure(site: Site, certificate: Path, tmp_path: Path) -> Iterator[Folder]:
    """A folder whose server, with its STS, speaks https alone."""
    server = S3Server(
        tmp_path / "s3", "daq", iam=iam(site.issuer.url, "daq"), certificate=certificate
    )
    with server:
        folder = make_folder(server, tmp_path / "experiment")
        folder.authority = str(certificate / "cert.pem")
        yield folder


def test_s3_and_sts_over_https(secure: Folder, site: Site, certificate: Path, data: Path) -> None:
    path = secure.add(data / "run01104.mid")
    assert secure.access["endpoint"].startswith("https://")
    trusted = {"CYGNO_S3_CA_FILE": str(certificate / "cert.pem")}
    through_sts = site.environment(
        "client-credentials", CYGNO_S3_ENDPOINT=secure.access["endpoint"]
    )
    for environment in ({}, through_sts):
        (line,) = complaints(secure.stage(**environment))
        assert "is not trusted" in line and "CYGNO_S3_CA_FILE" in line
    assert complaints(secure.stage(**through_sts, **trusted)) == []
    assert secure.content(path.name) == path.read_bytes()
    other = secure.add(data / "run01105.mid.bz2")
    assert complaints(secure.stage(**trusted)) == []  # with the embedded server's own keys
    assert secure.content(other.name) == other.read_bytes()


def test_an_authority_that_is_not_there_is_named(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    (line,) = complaints(folder.stage(CYGNO_S3_CA_FILE="/no/such.pem"))
    assert "the certificates in /no/such.pem cannot be read" in line


def test_the_issuer_over_https(certificate: Path) -> None:
    with serve(OurIssuer(), certificate) as issuer:
        site = {"credentials": "client-credentials", "issuer": issuer.url, "client_id": "daq"}
        secret = {"CYGNO_OIDC_CLIENT_SECRET": "a-client-secret-of-42-letters"}
        trusting = StagerSettings(**site, ca_file=str(certificate / "cert.pem"))  # type: ignore[arg-type]
        token = token_source(trusting, secret).token()
        assert token.claims["iss"] == issuer.url
        with pytest.raises(CredentialsError, match=r"certificate .* is not trusted"):
            token_source(StagerSettings(**site), secret).token()  # type: ignore[arg-type]


def test_secrets_never_go_over_the_network_in_the_clear() -> None:
    with pytest.raises(CredentialsError, match="in the clear; wanted https"):
        Issuer("http://iam.example.org")
    with pytest.raises(CredentialsError, match="is no URL"):
        Issuer("iam.example.org")


def test_an_issuer_that_sends_secrets_elsewhere_in_the_clear() -> None:
    with serve(OurIssuer()) as issuer:
        told = issuer.metadata()
        issuer.metadata = lambda: {**told, "token_endpoint": "http://elsewhere.example.org/t"}  # type: ignore[method-assign]
        with pytest.raises(CredentialsError, match="not asked in the clear"):
            Issuer(issuer.url).endpoint("token_endpoint")
        issuer.metadata = lambda: {**told, "issuer": "https://other.example.org"}  # type: ignore[method-assign]
        with pytest.raises(CredentialsError, match=r"speaks for the issuer https://other"):
            Issuer(issuer.url).endpoint("token_endpoint")
