"""Private keys of every kind, made once: what an API key is that signs."""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KINDS = ("rsa", "p256", "p384", "ed25519")


@cache
def private_key(kind: str) -> Private:
    """Return a key of this kind: `rsa` (2048 bits), `rsa-small`, `p256`, `p384`, `p521`, `k256` or `ed25519`."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, 1024 if kind == "rsa-small" else 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "k256": ec.SECP256K1()}
    return ec.generate_private_key(curves[kind])


def pem(kind: str, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes | None = None) -> bytes:
    """Return a key in PEM: PKCS#8, or PKCS#1 and SEC 1 (`TraditionalOpenSSL`), or OpenSSH's own."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return private_key(kind).private_bytes(Encoding.PEM, form, encryption)


def public_pem(kind: str) -> bytes:
    """Return what a key's signatures are verified by, in PEM."""
    return private_key(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_jwk(kind: str) -> dict[str, Any]:
    """Return what an RSA key's signatures are verified by, as a JSON Web Key."""
    key = private_key(kind)
    assert isinstance(key, rsa.RSAPrivateKey)
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
