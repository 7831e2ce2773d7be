"""API keys that are private keys, in PEM: found in what a source holds, and told from everything that is none.

Text alone; whether the numbers in it are a key is seen when it signs. A private key is never sent, so that its
line ends and spaces do no harm, and the many ways in which a PEM is mangled on its way into an environment
variable or a secret store (`\\n` in two characters, all in one line, quotes around it) can be put right. With that,
a JSON file that holds a PEM, as Google gives them to service accounts, serves as it is.
No text here repeats a byte of it.
"""

from __future__ import annotations

import re

from sidecar.credentials.keys import MOST_KEY_BYTES
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

# A file may hold a certificate or curve parameters beside its key (RFC 7468 2). What stands between has no dashes in
# a row: without that, 64 KiB of BEGIN lines would be searched for seconds.
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----((?:(?!-----).)*)-----END \1-----", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
# PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 A.1.2) and SEC 1 (RFC 5915).
_LABELS = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
_LINE = 64

_DECRYPT = "an encrypted private key, for which there is no password here: decrypt it (openssl pkey -in OLD -out NEW)"
_OPENSSH = "a private key in OpenSSH's own format: convert it (ssh-keygen -p -m PKCS8 -f FILE)"
# None of them with the dashes of a PEM, so that a search of the output for the start of a key finds nothing.
_CUT = "only a part of a private key in PEM: it has no END line that fits its BEGIN"
_NONE = "no private key in PEM, which exchange.sign needs: BEGIN PRIVATE KEY, or RSA or EC PRIVATE KEY"


def clean_pem(content: bytes, source: str) -> Secret:
    """Return the private key that a source holds, as one PEM block with every line where it belongs.

    Args:
        content: what the source holds.
        source: its description, for errors.

    Raises:
        KeyUnavailable: it holds no private key in PEM, or an encrypted one.
    """
    if len(content) > MOST_KEY_BYTES:
        raise KeyUnavailable(f"{source} holds more than {MOST_KEY_BYTES} bytes")
    text = content.decode("ascii", "replace").replace("\\r", "").replace("\\n", "\n")
    if not text.strip():
        raise KeyUnavailable(f"{source} is empty")
    label, body = _private_key(text, source)
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return Secret("\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]))


def _private_key(text: str, source: str) -> tuple[str, str]:
    """Return the label and the base64 of the first private key."""
    for block in _BLOCK.finditer(text):
        label, body = block[1], "".join(block[2].split())
        if label == "ENCRYPTED PRIVATE KEY" or "ENCRYPTED" in body:
            raise KeyUnavailable(f"{source} holds {_DECRYPT}")
        if label == "OPENSSH PRIVATE KEY":
            raise KeyUnavailable(f"{source} holds {_OPENSSH}")
        if label in _LABELS and _BASE64.fullmatch(body):
            return label, body
    raise KeyUnavailable(f"{source} holds {_instead(text)}")


def _instead(text: str) -> str:
    """Say what there is where no private key is."""
    if re.search(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----", text) and not _BLOCK.search(text):
        return _CUT
    return _NONE
