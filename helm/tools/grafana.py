"""Rows and panels in Grafana's words: the JSON model of a dashboard, for Grafana 10.4 and later.

Nothing in it belongs to one installation: the data source and the choice of targets are variables, and there are no
numbers of a database's. The rule for targets: the three labels match with `=~`, and "all" is `.*`, which matches
targets that have no such label as well; so static scrapes are shown as pods are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

from helm.tools.panels import COLUMNS, Panel, Query, Row

SCHEMA_VERSION = 39
UID = "credential-sidecar"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
TARGETS = 'namespace=~"$namespace", pod=~"$pod", instance=~"$instance"'

Json = dict[str, Any]


def dashboard(rows: Sequence[Row]) -> Json:
    """Return the JSON model of a dashboard with these rows."""
    return {
        "uid": UID,
        "title": "Sidecar",
        "description": "Tokens, rejections and requests of sidecars. The first row says whether all is well.",
        "tags": ["sidecar", "prometheus"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_laid_out(rows)),
    }


def _variables() -> list[Json]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1},
        _labels("namespace", "Namespace", "sidecar_build_info"),
        _labels("pod", "Pod", 'sidecar_build_info{namespace=~"$namespace"}'),
        _labels("instance", "Instance", 'sidecar_build_info{namespace=~"$namespace", pod=~"$pod"}'),
    ]


def _labels(name: str, label: str, series: str) -> Json:
    """Return a variable that offers the values of a label of these series."""
    query = f"label_values({series}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": f"{name}-values"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[Json]:
    """Yield every row's heading and panels, from left to right and top to bottom."""
    number, top = 0, 0
    for row in rows:
        number += 1
        at = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": at}
        left, top = 0, top + 1
        for panel in row.panels:
            number += 1
            if left + panel.width > COLUMNS:
                left, top = 0, top + row.height
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": row.height})
            left += panel.width
        top += row.height


def _panel(panel: Panel, number: int, at: Json) -> Json:
    common: Json = {
        "id": number,
        "title": panel.title,
        "description": panel.good,
        "datasource": DATASOURCE,
        "gridPos": at,
        "targets": [
            _target(query, ascii_uppercase[index], instant=panel.kind == "table")
            for index, query in enumerate(panel.queries)
        ],
    }
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"color": color, "value": value} for color, value in panel.colors],
        },
    }
    match panel.kind:
        case "stat":
            return {**common, "type": "stat", "options": _stat_options(), **_fields(defaults)}
        case "table":
            hidden = {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}
            options = {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"}
            return {**common, "type": "table", "options": options, "transformations": [hidden], **_fields(defaults)}
        case "series" | "stack":
            stacked = panel.kind == "stack"
            defaults["custom"] = _lines(stacked=stacked)
            return {**common, "type": "timeseries", "options": _series_options(), **_fields(defaults)}


def _target(query: Query, letter: str, *, instant: bool) -> Json:
    target: Json = {
        "refId": letter,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr.replace("$targets", TARGETS),
        "range": not instant,
        "instant": instant,
    }
    if instant:
        target["format"] = "table"
    if query.legend:
        target["legendFormat"] = query.legend
    return target


def _fields(defaults: Json) -> Json:
    return {"fieldConfig": {"defaults": defaults, "overrides": []}}


def _stat_options() -> Json:
    return {
        "colorMode": "background",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }


def _series_options() -> Json:
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _lines(*, stacked: bool) -> Json:
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 5,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
