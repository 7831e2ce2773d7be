"""What each vendor of `examples/` documents: the request that it takes, what it answers, and where its token goes.

A pretend endpoint by this table refuses whatever is not exactly what the vendor's page says. Each `takes` raises
AssertionError; the pages are those in the heads of the examples.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

import jwt

from tests.private_keys import pem, private_key

SECRET = b"of-the-vendor~Q+/=%"
JWT_OF_A_CLUSTER = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06In0.c2lnbmVk"
CLIENT = "66666666-7777-8888-9999-000000000000"
ENTRA = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/oauth2/v2.0/token"
GRAPH = "https://graph.microsoft.com/.default"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
IN_AN_HOUR = "2030-01-01T01:00:00Z"
# The clock of the vendors, which need not be that of the sidecar.
NOW = 1893456000


@dataclass(frozen=True)
class Request:
    """One request to a token endpoint, as it came; fields by lower-case name, none of them twice."""

    line: str
    fields: Mapping[str, str]
    body: bytes
    url: str

    @classmethod
    def read(cls, raw: bytes, url: str) -> Request:
        """Take apart what a socket got."""
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *rest = head.decode("ascii").split("\r\n")
        pairs = [field.split(": ", 1) for field in rest]
        fields = {name.lower(): value for name, value in pairs}
        assert len(fields) == len(pairs)
        return cls(line, fields, body, url)

    def form(self) -> dict[str, str]:
        """Return the form, in which no name may stand twice."""
        assert self.fields["content-type"] == "application/x-www-form-urlencoded"
        pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def client(self) -> tuple[str, str]:
        """Return client id and secret by HTTP Basic, as RFC 6749 2.3.1 has them."""
        scheme, _, pair = self.fields["authorization"].partition(" ")
        assert scheme == "Basic"
        client, _, secret = base64.b64decode(pair, validate=True).decode("ascii").partition(":")
        return unquote_plus(client), unquote_plus(secret)

    def claims(
        self, assertion: str, alg: str, *, audience: str | None, life_s: int, **header: str
    ) -> dict[str, object]:
        """Return what an assertion says beside its times and id; its signature, audience and times must be right."""
        assert jwt.get_unverified_header(assertion) == {"alg": alg, "typ": "JWT", **header}
        public = private_key("rsa").public_key()
        skip = {"verify_exp": False, "verify_iat": False, "verify_aud": audience is not None}
        claims: dict[str, object] = jwt.decode(
            assertion,
            public,
            [alg],
            audience=audience,
            options=skip,  # type: ignore[arg-type]
        )
        issued, expires = claims.pop("iat"), claims.pop("exp")
        assert isinstance(issued, int) and isinstance(expires, int)
        assert issued <= NOW < expires <= NOW + life_s
        if audience is not None:
            assert claims.pop("aud") == audience
            assert len(str(claims.pop("jti"))) >= 16
        return claims


def auth0(request: Request) -> None:
    """Everything in the form."""
    assert "authorization" not in request.fields
    assert request.form() == {
        "grant_type": "client_credentials",
        "client_id": "AbCdEfGhIjKlMnOpQrStUvWxYz012345",
        "client_secret": SECRET.decode(),
        "audience": "https://api.example.com/",
    }


def entra(request: Request) -> None:
    """Everything in the form; the scope is the API's own, with /.default."""
    assert "authorization" not in request.fields
    assert request.form() == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": SECRET.decode(),
        "scope": GRAPH,
    }


def entra_certificate(request: Request) -> None:
    """PS256, with the certificate's thumbprint, for the token endpoint itself."""
    form = request.form()
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_assertion_type": CLIENT_ASSERTION,
        "scope": GRAPH,
    }
    thumbprint = {"x5t#S256": "A1bC2dE3fH4iJ5kL6mN7oP8qR9sT0uA1bC2dE3fH4iJ"}
    claims = request.claims(assertion, "PS256", audience=request.url, life_s=600, **thumbprint)
    assert claims == {"iss": CLIENT, "sub": CLIENT}


def entra_workload(request: Request) -> None:
    """The cluster's token as it is, in place of an assertion of our own."""
    assert request.form() == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_assertion_type": CLIENT_ASSERTION,
        "client_assertion": JWT_OF_A_CLUSTER.decode(),
        "scope": GRAPH,
    }


def okta(request: Request) -> None:
    """The client is known by its assertion alone, which may be valid for an hour at most."""
    form = request.form()
    assertion = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "client_assertion_type": CLIENT_ASSERTION,
        "scope": "okta.users.read okta.groups.read",
    }
    claims = request.claims(assertion, "RS256", audience=request.url, life_s=3600, kid="my-key")
    assert claims == {"iss": "0oa1example2client3id", "sub": "0oa1example2client3id"}


def keycloak(request: Request) -> None:
    """HTTP Basic, and the grant."""
    assert request.client() == ("my-client", SECRET.decode())
    assert request.form() == {"grant_type": "client_credentials"}


def spotify(request: Request) -> None:
    """HTTP Basic, and the grant."""
    assert request.client() == ("0123456789abcdef0123456789abcdef", SECRET.decode())
    assert request.form() == {"grant_type": "client_credentials"}


def google_account(request: Request) -> None:
    """The scope is a claim; the assertion may be valid for an hour at most."""
    form = request.form()
    assertion = form.pop("assertion")
    assert form == {"grant_type": JWT_BEARER}
    kid = "0123456789abcdef0123456789abcdef01234567"
    assert request.claims(assertion, "RS256", audience=request.url, life_s=3600, kid=kid) == {
        "iss": "my-account@my-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/devstorage.read_only",
    }


def google_workload(request: Request) -> None:
    """No Authorization; the audience is the provider."""
    assert "authorization" not in request.fields
    pool = "projects/123456789012/locations/global/workloadIdentityPools/my-pool"
    assert request.form() == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"//iam.googleapis.com/{pool}/providers/my-cluster",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": JWT_OF_A_CLUSTER.decode(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    }


def salesforce(request: Request) -> None:
    """The audience is the login server, not the endpoint; the assertion is valid for three minutes."""
    form = request.form()
    assertion = form.pop("assertion")
    assert form == {"grant_type": JWT_BEARER}
    claims = request.claims(assertion, "RS256", audience="https://login.salesforce.com", life_s=180)
    assert claims == {"iss": "3MVG9example.consumer.key", "sub": "integration@example.com"}


def github(request: Request) -> None:
    """A JWT of nothing but iat, exp and iss, at most ten minutes ahead; a User-Agent; what the token may do."""
    assert request.line == "POST /app/installations/12345678/access_tokens HTTP/1.1"
    assert request.fields["user-agent"] and request.fields["accept"] == "application/vnd.github+json"
    assert request.fields["x-github-api-version"] == "2022-11-28"
    scheme, _, assertion = request.fields["authorization"].partition(" ")
    assert scheme == "Bearer"
    assert request.claims(assertion, "RS256", audience=None, life_s=600) == {"iss": "Iv23exampleClientId"}
    assert request.fields["content-type"] == "application/json"
    assert json.loads(request.body) == {"repositories": ["my-repository"], "permissions": {"contents": "read"}}


def vault(request: Request) -> None:
    """Role and secret id in JSON, and no token of an earlier login."""
    assert request.line == "POST /v1/auth/approle/login HTTP/1.1"
    assert not {"authorization", "x-vault-token"} & set(request.fields)
    body = {"role_id": "11111111-2222-3333-4444-555555555555", "secret_id": SECRET.decode()}
    assert (request.fields["content-type"], json.loads(request.body)) == ("application/json", body)


@dataclass(frozen=True)
class Vendor:
    """One vendor.

    Args:
        endpoint: its token endpoint, in the example.
        takes: refuses a request that is not what it documents.
        key: what is in the key's file.
        answer: what it answers to a right request.
        life_s: how long its token lives.
        line: how the token goes upstream.
        refuses: its answer to a bad key.
        status: of an answer that brings a token.
    """

    endpoint: str
    takes: Callable[[Request], None]
    key: bytes
    answer: Mapping[str, object]
    life_s: float = 3600.0
    line: bytes = b"Authorization: Bearer a-token\r\n"
    refuses: tuple[int, Mapping[str, object]] = (401, {"error": "invalid_client"})
    status: int = 200


def oauth(**more: object) -> dict[str, object]:
    """Return what most answer (RFC 6749 5.1)."""
    return {"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600, **more}


_JSON_KEY = json.dumps({"type": "service_account", "private_key": pem("rsa").decode()}, indent=2).encode()
_BAD_GRANT: tuple[int, Mapping[str, object]] = (400, {"error": "invalid_grant"})
VENDORS: Mapping[str, Vendor] = {
    "auth0": Vendor("https://example.us.auth0.com/oauth/token", auth0, SECRET, oauth(expires_in=86400), 86400.0),
    "github-app": Vendor(
        "https://api.github.com/app/installations/12345678/access_tokens",
        github,
        pem("rsa"),
        {"token": "a-token", "expires_at": IN_AN_HOUR, "permissions": {"contents": "read"}},
        refuses=(401, {"message": "A JSON web token could not be decoded"}),
        status=201,
    ),
    "google-service-account": Vendor(
        "https://oauth2.googleapis.com/token",
        google_account,
        _JSON_KEY,
        oauth(expires_in=3599),
        3599,
        refuses=_BAD_GRANT,
    ),
    "google-workload-identity": Vendor(
        "https://sts.googleapis.com/v1/token",
        google_workload,
        JWT_OF_A_CLUSTER,
        oauth(issued_token_type="urn:ietf:params:oauth:token-type:access_token"),
        refuses=_BAD_GRANT,
    ),
    "keycloak": Vendor(
        "https://keycloak.example.com/realms/example/protocol/openid-connect/token",
        keycloak,
        SECRET,
        {"access_token": "a-token", "expires_in": 300, "refresh_expires_in": 0, "not-before-policy": 0},
        300.0,
    ),
    "microsoft-entra-id": Vendor(ENTRA, entra, SECRET, oauth(expires_in=3599, ext_expires_in=3599), 3599.0),
    "microsoft-entra-id-certificate": Vendor(
        ENTRA,
        entra_certificate,
        b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" + pem("rsa"),
        oauth(),
    ),
    "microsoft-entra-workload-id": Vendor(ENTRA, entra_workload, JWT_OF_A_CLUSTER, oauth()),
    "okta": Vendor("https://example.okta.com/oauth2/v1/token", okta, pem("rsa"), oauth(scope="okta.users.read")),
    "salesforce": Vendor(
        "https://login.salesforce.com/services/oauth2/token",
        salesforce,
        pem("rsa"),
        {"access_token": "a-token", "instance_url": "https://example.my.salesforce.com", "token_type": "Bearer"},
        900.0,
        refuses=_BAD_GRANT,
    ),
    "spotify": Vendor(
        "https://accounts.spotify.com/api/token", spotify, SECRET, oauth(), refuses=(400, {"error": "invalid_client"})
    ),
    "vault-approle": Vendor(
        "https://vault.example.com:8200/v1/auth/approle/login",
        vault,
        SECRET,
        {"lease_duration": 0, "auth": {"client_token": "a-token", "lease_duration": 1200, "renewable": True}},
        1200.0,
        b"X-Vault-Token: a-token\r\n",
        refuses=(400, {"errors": ["invalid role or secret ID"]}),
    ),
}
