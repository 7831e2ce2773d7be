"""Assertions: JWTs signed with the API key, which is then a private key and is never sent itself (RFC 7523).

The only module that imports PyJWT and cryptography, both in the extra `sign`, and not before the first assertion is
signed: they cost a pod 11 MB, and its start 0.1 s.

A key is read anew for each assertion, so that nothing here keeps one. Of an RSA key, cryptography would check each
time that its primes are primes: 30 ms for 2048 bits and 200 ms for 4096, in which no other thread runs and so no
request moves. The key is its owner's, so that is left out (0.4 ms remain); instead each signature is verified
before it is sent (0.1 ms), which a damaged key does not survive, nor a fault while signing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.credentials.rules import SignRules
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from jwt.algorithms import AllowedPrivateKeys, AllowedPublicKeys

MISSING = "signing needs PyJWT and cryptography: pip install 'credential-sidecar[sign]'"
# RFC 7518 3.3 and 3.5
_LEAST_RSA_BITS = 2048
_CURVE_ALGS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def can_sign() -> bool:
    """Return whether what signing needs is installed. Imports none of it."""
    from importlib.util import find_spec

    return find_spec("jwt") is not None and find_spec("cryptography") is not None


def signed(key: Secret, rules: SignRules, audience: str, now: float, unique: str) -> Secret:
    """Return an assertion. Takes some 3 ms, and the first time 0.1 s more, for imports: not for the event loop.

    Args:
        key: the private key in PEM.
        rules: what it says, and by which algorithm.
        audience: the `aud` where the rules name none.
        now: wall-clock seconds, by the clock of whoever will verify it.
        unique: what no other assertion has, its `jti`.

    Raises:
        KeyUnavailable: the key cannot sign it, or what signing needs is not installed.
    """
    try:
        import cryptography  # noqa: F401  # what jwt would find missing much later
        import jwt
    except ImportError:
        raise KeyUnavailable(MISSING) from None
    private = _loaded(key.reveal())
    _check_fits(private, rules.alg)
    claims = {
        "aud": audience,
        "iat": int(now - rules.backdate_s),
        "exp": int(now + rules.life_s),
        "jti": unique,
        **rules.claims,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    try:
        assertion = jwt.encode(present, private, rules.alg, dict(rules.headers))
        jwt.PyJWS().decode(assertion, _public(private), [rules.alg])
    except (jwt.PyJWTError, ValueError, TypeError):
        # What these say may quote the claims; of a key that was read, damage is what is left.
        raise KeyUnavailable("the API key is damaged: what it signs does not verify by its own public key") from None
    return Secret(assertion)


def _loaded(pem: bytes) -> AllowedPrivateKeys:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private: PrivateKeyTypes = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnavailable("the API key looks like a private key in PEM, and what is in it is none") from None
    kinds = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
    if not isinstance(private, kinds):
        raise KeyUnavailable("the API key is a private key that signs no JWT: expected an RSA, EC or Ed25519 key")
    return private


def _check_fits(private: AllowedPrivateKeys, alg: str) -> None:
    """Raise KeyUnavailable where this kind of key does not sign by this algorithm."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    algs: tuple[str, ...]
    if isinstance(private, rsa.RSAPrivateKey):
        kind, algs = "an RSA key", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
        if private.key_size < _LEAST_RSA_BITS:
            raise KeyUnavailable(f"the API key is an RSA key of fewer than {_LEAST_RSA_BITS} bits: make a longer one")
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        kind, algs = "an EC key", tuple(filter(None, [_CURVE_ALGS.get(private.curve.name)]))
        if not algs:
            raise KeyUnavailable("the API key is an EC key on a curve without an algorithm: expected P-256 or P-384")
    else:
        kind, algs = "an Ed25519 key", ("EdDSA",)
    if alg not in algs:
        raise KeyUnavailable(f"the API key is {kind}, and {alg} needs another: set exchange.sign.alg to {algs[0]}")


def _public(private: AllowedPrivateKeys) -> AllowedPublicKeys:
    return private.public_key()
