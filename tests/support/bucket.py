"""A bucket as S3's documentation describes it: PUT and GET of objects, each request signed (Signature Version 4), errors as XML."""

import hashlib
import hmac
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY, SECRET, REGION = "key-of-the-test", "secret-of-the-test", "eu-test-1"
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)


@dataclass
class Bucket:
    """What is in it, by path; `refusing`: answers each request with this status, as a server in trouble does."""

    url: str = ""
    held: dict[str, bytes] = field(default_factory=dict)
    refusing: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ENDPOINT": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ALLOW_HTTP": "true",
        }


def signature(request: BaseHTTPRequestHandler, day: str, region: str, names: str) -> str:
    """What the signature of a request must be, as <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html> says."""
    path, _, query = request.path.partition("?")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names.split(";"))
    canonical = "\n".join([request.command, path, query, headers, names, request.headers["x-amz-content-sha256"]])
    scope = f"{day}/{region}/s3/aws4_request"
    told = "\n".join(
        ["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()],
    )
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, "s3", "aws4_request", told):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Serve one on loopback."""
    found = Bucket()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def fault(self, status: int, code: str) -> None:
            self.answer(status, f"<Error><Code>{code}</Code></Error>".encode())

        def allowed(self) -> bool:
            match = SIGNED.fullmatch(self.headers.get("authorization", ""))
            if found.refusing:
                self.fault(found.refusing, "SlowDown")
            elif match is None or match[1] != KEY or signature(self, match[2], match[3], match[4]) != match[5]:
                self.fault(403, "SignatureDoesNotMatch")
            else:
                return True
            return False

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.allowed():
                said = self.headers["x-amz-content-sha256"]
                if said not in {"UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()}:
                    return self.fault(400, "XAmzContentSHA256Mismatch")
                found.held[self.path] = body
                self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')  # noqa: S324 what S3 gives
            return None

        def do_GET(self) -> None:
            if self.allowed():
                body = found.held.get(self.path)
                if body is None:
                    return self.fault(404, "NoSuchKey")
                self.answer(200, body, ETag='"e"', **{"Last-Modified": "Thu, 26 Nov 2026 00:00:00 GMT"})
            return None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
