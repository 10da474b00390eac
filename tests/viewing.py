"""Requests to the viewer's server, without a browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from capturefile.view.app import application
from capturefile.view.sources import ViewedFile, ViewedLog
from starlette.testclient import TestClient

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "token"
HERE = "http://127.0.0.1:8000"


def client(*paths: Path) -> TestClient:
    """A client with the token, for a server of these files."""
    viewed = [ViewedLog(path) if path.is_dir() else ViewedFile(path) for path in paths]
    app = application(viewed, TOKEN, "127.0.0.1")
    return TestClient(app, base_url=f"{HERE}/{TOKEN}/")


def api(path: Path, address: str, **query: str | int) -> Any:  # noqa: ANN401 - whatever the answer is
    """The answer about one file; the request must succeed."""
    answer = client(path).get(f"api/files/0{address}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def job(path: Path, kind: str, **query: str | int) -> list[dict[str, Any]]:
    """All lines that a job sends."""
    answer = client(path).get(f"api/files/0/jobs/{kind}", params=query)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]
