"""Asks the gateway once, as an app would, and says whether the upstream answered: what `helm test` runs.

Arguments: the URL, and where the gate asks for a token, the file that holds it. Ends with 1 where the answer is the
sidecar's own (it says why), the upstream's 401, or none within 20 seconds.
"""

import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

TIMEOUT_S = 20


class Unfollowed(HTTPRedirectHandler):
    """An answer that leads elsewhere is an answer."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def main() -> int:
    """Ask, print one line, and return the exit code."""
    url, *token_file = sys.argv[1:]
    fields = {"Sidecar-Token": Path(token_file[0]).read_text().strip()} if token_file else {}
    try:
        # Nothing of the environment: a proxy would hide what an app of the cluster sees.
        opener = build_opener(ProxyHandler({}), Unfollowed())
        answer = opener.open(Request(url, headers=fields), timeout=TIMEOUT_S)  # noqa: S310: plain http is the point
    except HTTPError as error:
        answer = error
    except (OSError, HTTPException) as error:
        print(f"no answer from {url}: {error}; look at the pods (kubectl get pods), the Service and the NetworkPolicy")
        return 1
    if answer.headers.get("Proxy-Status", "").startswith("sidecar;"):
        print(f"the gateway refuses: {answer.status} {answer.read(4096).decode(errors='replace')}")
        return 1
    if answer.status == 401:
        print("the upstream answers 401: it does not take the token; is the key the right one for this upstream?")
        return 1
    print(f"the upstream answers {answer.status}: the gateway works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
