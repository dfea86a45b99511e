"""What stands before a tracking server in a laboratory: a proxy that asks for user and password, or a token, on every path."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER, PASSWORD, TOKEN = "me", "s3cret MARKER/@:", "tokenMARKER"
ALLOWED = {
    "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
    f"Bearer {TOKEN}",
}


class Handler(BaseHTTPRequestHandler):
    """Passes on what is allowed."""

    protocol_version = "HTTP/1.1"
    behind: int
    refused: list[str]

    def _handle(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") not in ALLOWED:
            self.refused.append(self.path)
            self._answer(401, {"WWW-Authenticate": 'Basic realm="laboratory"'}, b"Who are you?\n")
            return
        server = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        dropped = ("host", "authorization", "transfer-encoding", "content-length", "connection")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        server.request(self.command, self.path, body, headers)
        came = server.getresponse()
        content = came.read()
        kept = {name: value for name, value in came.getheaders() if name.lower() in ("content-type",)}
        self._answer(came.status, kept, content)
        server.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


class Proxy:
    """A proxy before the server at that port; with ``certificate`` by TLS."""

    def __init__(self, behind: int, certificate: Path | None = None) -> None:
        self.refused: list[str] = []
        handler = type("Handler", (Handler,), {"behind": behind, "refused": self.refused})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def own_certificate(folder: Path) -> Path:
    """A certificate for this machine that nobody else knows."""
    path = folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + (folder / "certificate.pem").read_text())
    return path
