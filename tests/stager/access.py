"""What tests of credentials share: an issuer, a server with STS that trusts it, certificates."""

import base64
import datetime
import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sim.s3 import S3Server
from tests.stager.issuer import AUDIENCE, CLIENT, SECRET, Issuer
from tests.stager.staging import Folder

WRITER = "arn:aws:iam::role/DaqWriter"
READER = "arn:aws:iam::role/DaqReader"
SESSION_S = 3
"""Life of a session where none is asked for."""


def iam(issuer_url: str, bucket: str) -> dict[str, Any]:
    """Return SeaweedFS's ``iam.json``: who may take which role, and what roles may do."""
    where = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]

    def role(name: str, policy: str) -> dict[str, Any]:
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": "tests"},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
        }
        return {
            "roleName": name,
            "roleArn": f"arn:aws:iam::role/{name}",
            "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
            "attachedPolicies": [policy],
        }

    def policy(name: str, *actions: str) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": where}
        return {"name": name, "document": {"Version": "2012-10-17", "Statement": [statement]}}

    config = {"issuer": issuer_url, "clientId": AUDIENCE, "jwksUri": f"{issuer_url}/jwks"}
    return {
        "sts": {
            "tokenDuration": f"{SESSION_S}s",
            "maxSessionLength": "12h",
            "issuer": "seaweedfs-sts",
            "signingKey": base64.b64encode(secrets.token_bytes(32)).decode(),
        },
        "providers": [{"name": "tests", "type": "oidc", "enabled": True, "config": config}],
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "roles": [role("DaqWriter", "Write"), role("DaqReader", "Read")],
        "policies": [
            policy("Write", "s3:*"),
            policy("Read", "s3:GetObject", "s3:ListBucket", "s3:HeadObject"),
        ],
    }


@dataclass
class Site:
    """An issuer and a server that trusts it."""

    issuer: Issuer
    server: S3Server
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, kind: str, **others: str) -> dict[str, str]:
        """Return what lets a stager use one kind of credentials here."""
        return {
            "CYGNO_S3_CREDENTIALS": kind,
            "CYGNO_S3_ROLE_ARN": WRITER,
            "CYGNO_S3_SESSION_DURATION_S": "0",
            "CYGNO_OIDC_ISSUER": self.issuer.url,
            "CYGNO_OIDC_CLIENT_ID": CLIENT,
            "CYGNO_OIDC_CLIENT_SECRET": SECRET,
            "CYGNO_OIDC_AUDIENCE": AUDIENCE,
            "CYGNO_S3_ENDPOINT": self.server.endpoint,
            "CYGNO_S3_BUCKET": self.server.bucket,
            **self.settings,
            **others,
        }

    def token_file(self, folder: Folder, text: str | None = None, mode: int = 0o600) -> Path:
        """Write a token into a file."""
        path = folder.path / "token"
        path.touch(0o600)
        path.write_text((self.issuer.token() if text is None else text) + "\n")
        path.chmod(mode)
        return path


def make_certificate(folder: Path) -> Path:
    """Make ``cert.pem`` and ``key.pem`` for 127.0.0.1, signed by nobody but itself."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests of cygno-daq")])
    moment = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - datetime.timedelta(days=1))
        .not_valid_after(moment + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.touch(0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder
