"""Asks the gateway once, as an app would, and says whether the upstream answered: what `helm test` runs.

Arguments: the URL, and where the gate asks for a token, the file that holds it. Ends with 1 where the answer is the
sidecar's own (it says why), the upstream's 401, or none within 20 seconds.
"""

import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_S = 20


def main() -> int:
    """Ask, print one line, and return the exit code."""
    url, *token_file = sys.argv[1:]
    fields = {"Sidecar-Token": Path(token_file[0]).read_text().strip()} if token_file else {}
    parts = urlsplit(url)
    # Follows no redirect and uses no proxy of the environment: it sees what an app of the cluster sees.
    connection = HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path, headers=fields)
        answer = connection.getresponse()
        text = answer.read(4096).decode(errors="replace")
    except (OSError, HTTPException) as error:
        print(f"no answer from {url}: {error}; look at the pods (kubectl get pods), the Service and the NetworkPolicy")
        return 1
    if (answer.getheader("Proxy-Status") or "").startswith("sidecar;"):
        print(f"the gateway refuses: {answer.status} {text}")
        return 1
    if answer.status == 401:
        print("the upstream answers 401: it does not take the token; is the key the right one for this upstream?")
        return 1
    print(f"the upstream answers {answer.status}: the gateway works")
    return 0


if __name__ == "__main__":
    sys.exit(main())
