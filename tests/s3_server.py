"""A local S3 server, whose address and credentials are in the environment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from capturefile import _remote
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Client: TypeAlias = Any
"""Of boto3, which has no types."""
SECRET = "not-to-be-shown"
BUCKET = "bucket"


@contextmanager
def s3_server() -> Iterator[Client]:
    """Starts the server, and yields a client of it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT": endpoint,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        # Connections to the server of another module, which has ended.
        _remote._stores.clear()
        yield client
    server.stop()


def put_folder(client: Client, folder: Path, prefix: str) -> None:
    """Copies the files of a folder to objects whose names start with the prefix."""
    for path in folder.iterdir():
        client.put_object(Bucket=BUCKET, Key=f"{prefix}{path.name}", Body=path.read_bytes())
