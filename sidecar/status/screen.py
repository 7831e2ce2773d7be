"""The screen for what `/status`, or `/readyz?verbose`, told. Pure: JSON in, lines out.

The rule: whatever was told is shown only after control characters were made visible.
"""

from __future__ import annotations

from sidecar.ask import duration, printable
from sidecar.status.style import BOLD, DIM, GREEN, RED, YELLOW, Style

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from sidecar.ask import Told

_STATES = {
    "fresh": (GREEN, "fresh"),
    "stale": (YELLOW, "stale: being renewed"),
    "empty": (YELLOW, "empty: no token yet"),
    "expired": (RED, "expired"),
    "key_rejected": (RED, "API key refused"),
}
_OUTCOMES = {
    "ok": "ok",
    "key_rejected": "API key refused",
    "rate_limited": "too many requests",
    "server_error": "the endpoint failed",
    "timeout": "timed out",
    "network": "no connection",
    "bad_response": "a useless answer",
}
_TRIGGERS = {
    "start": "at the start",
    "expiry": "before the expiry",
    "rejection": "after a rejection",
    "key_change": "for a new key",
    "manual": "as asked",
}
_LABEL = 14
_BEYOND = "by /readyz?verbose: beyond loopback, the admin listener tells health and metrics alone"
# Where the line of a token's life begins, and how long it is.
_LIFE_AT, _LIFE = 44, 32


def draw(told: Told, style: Style, page: str = "") -> list[str]:
    """Return the screen's lines.

    Args:
        told: the JSON.
        style: how to draw it.
        page: where the same is shown to a browser, if anywhere.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: this is no status that is known here.
    """
    lines = [_headline(told, style)]
    if "uptime_s" in told:
        lines += _row("listens on", ", ".join(map(_text, told.get("listeners", []))), style)
        lines += _row("configured", _configured(told), style)
        lines += _row("page", page, style) if page else []
    else:
        lines += _row("told", _BEYOND, style)
    for credential in told["credentials"]:
        lines += ["", *_credential(credential, style)]
    if told.get("routes"):
        lines += ["", *_routes(told["routes"], style)]
    return lines


def _headline(told: Told, style: Style) -> str:
    if told.get("draining"):
        colour, verdict = YELLOW, "stopping"
    else:
        colour, verdict = (GREEN, "ready") if told.get("ready") else (RED, "not ready")
    version = f"Sidecar {_text(told['version'])}" if "version" in told else "Sidecar"
    up = f", up {duration(told['uptime_s'])}" if "uptime_s" in told else ""
    return f"{style.paint(style.sign('dot'), colour)} {style.paint(verdict, colour, BOLD)}  {version}{up}"


def _configured(told: Told) -> str:
    by = f"by {_text(told['config_source'])}" if told["config_source"] else "by flags and environment"
    last = told.get("last_reload")
    if not last:
        return by
    ago = f"{duration(last['age_s'])} ago"
    return f"{by}, reloaded {ago}" if last["ok"] else f"{by}; NOT reloaded {ago}: {_text(last['error'])}"


def _credential(credential: Told, style: Style) -> list[str]:
    colour, state = _STATES.get(credential["state"], (DIM, _text(credential["state"])))
    name = style.paint(_text(credential["name"]), BOLD)
    lines = [f"{style.paint(style.sign('dot'), colour)} {name}  {style.paint(state, colour)}"]
    lines.append(_token(credential, colour, style))
    lines += _next(credential, style)
    if last := credential.get("last_exchange"):
        lines += _row("exchange", f"{_record(last)} in {_milliseconds(last['duration_s'])}{_trigger(last)}", style)
    lines += _failure(credential, style)
    if credential.get("source"):
        mark = f", fingerprint {_text(credential['fingerprint'])}" if credential.get("fingerprint") else ""
        lines += _row("API key", f"{_text(credential['source'])}{mark}", style)
    lines += _advice(credential.get("error"), credential.get("remedy"), style)
    verdict = credential.get("verdict") or {}
    return lines + _advice(verdict.get("reason"), verdict.get("remedy"), style)


def _token(credential: Told, colour: str, style: Style) -> str:
    """Return what is left of the token's life in words, and as a line from its exchange to its expiry."""
    left, age = credential.get("expires_in_s"), credential.get("age_s")
    if left is None:
        return _row("token", "does not expire" if credential.get("usable") else "none", style)[0]
    words = f"expires in {duration(left)}" if left > 0 else f"expired {duration(-left)} ago"
    (line,) = _row("token", words, style)
    plain = _LABEL + len(words)
    if age is None or age + left <= 0 or plain >= _LIFE_AT or style.width < _LIFE_AT + _LIFE:
        return line
    return line + " " * (_LIFE_AT - plain) + _life(age, left, credential.get("next_refresh_in_s"), colour, style)


def _life(age: float, left: float, refresh: float | None, colour: str, style: Style) -> str:
    whole = age + left
    gone = round(_LIFE * min(1.0, max(0.0, age / whole)))
    signs = [style.sign("gone")] * gone + [style.sign("left")] * (_LIFE - gone)
    if refresh is not None and 0 <= refresh < left:
        signs[min(_LIFE - 1, int(_LIFE * (age + refresh) / whole))] = style.sign("mark")
    line = "".join(signs)
    return style.paint(line[:gone], DIM) + style.paint(line[gone:], colour)


def _next(credential: Told, style: Style) -> list[str]:
    seconds = credential.get("next_refresh_in_s")
    if seconds is None:
        return []
    label = "next try" if credential.get("consecutive_failures") else "refresh"
    return _row(label, f"in {duration(seconds)}" if seconds > 0 else "now", style)


def _failure(credential: Told, style: Style) -> list[str]:
    """Return the last failure, where it is over: one that lasts is told with its remedy."""
    failures = [record for record in credential.get("recent") or [] if record["outcome"] != "ok"]
    if credential.get("error") or not failures:
        return []
    last = min(failures, key=lambda record: record["age_s"])
    detail = f": {_text(last['detail'])}" if last.get("detail") else ""
    return _row("failure", f"{_record(last)}{detail}", style)


def _record(record: Told) -> str:
    outcome = _OUTCOMES.get(record["outcome"], _text(record["outcome"]))
    return f"{outcome} {duration(max(0, record['age_s']))} ago"


def _trigger(record: Told) -> str:
    return f", {_TRIGGERS[record['trigger']]}" if record.get("trigger") in _TRIGGERS else ""


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _advice(problem: object, remedy: object, style: Style) -> list[str]:
    lines = []
    for sign, colour, text in (("wrong", RED, problem), ("remedy", YELLOW, remedy)):
        if text:
            mark = style.sign(sign)
            wrapped = style.wrapped(_text(text), f"  {mark} ", " " * (3 + len(mark)))
            wrapped[0] = f"  {style.paint(mark, colour)} {wrapped[0][3 + len(mark) :]}"
            lines += wrapped
    return lines


def _routes(routes: list[Told], style: Style) -> list[str]:
    rows: list[tuple[str, ...]] = [("ROUTE", "MATCHES", "UPSTREAM", "CREDENTIAL")]
    for route in routes:
        held = f" (held down for {duration(route['hold_down_s'])})" if route.get("hold_down_s") else ""
        matches = f"{_text(route['host'])}{_text(route['path'])}"
        credential = _text(route["credential"] or "none") + held
        rows.append((_text(route["name"]), matches, _text(route["upstream"]), credential))
    return style.table(rows, "  ")


def _row(label: str, text: str, style: Style) -> list[str]:
    lines = style.wrapped(text, f"  {label}".ljust(_LABEL), " " * _LABEL)
    lines[0] = f"  {style.paint(label, DIM)}{lines[0][2 + len(label) :]}"
    return lines


def _text(value: object) -> str:
    return "" if value is None else printable(str(value))
