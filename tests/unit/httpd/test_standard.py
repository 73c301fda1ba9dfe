"""What is imported is part of the promise: these run in a fresh interpreter as the daemon does."""

import email.utils
import http.server
import sys
from pathlib import Path

from fleet_agent import proc
from fleet_agent.httpd import standard
from fleet_agent.httpd.server import Server

ROOT = Path(__file__).parents[3]
LOADED = "print([name for name in {} if name in sys.modules])"


def fresh(code: str) -> str:
    begin = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    return proc.run([sys.executable, "-I", "-S", "-c", begin + code], timeout_seconds=30).text


def test_the_server_is_the_standard_librarys() -> None:
    assert issubclass(Server, http.server.HTTPServer)
    assert standard.PHRASES[404] == "Not Found"
    assert standard.http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert standard.http_date(0) == email.utils.formatdate(0, usegmt=True)


def test_the_server_starts_without_tls_asyncio_logging_and_yaml() -> None:
    dear = "ssl asyncio logging yaml dataclasses subprocess concurrent.futures tomllib pathlib"
    code = (
        f"import fleet_agent.httpd.server\nprint([m for m in {dear.split()!r} if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_tls_can_still_be_imported_after_the_server() -> None:
    assert fresh("import fleet_agent.httpd.server\nimport ssl\nprint(ssl.SSLContext.__name__)") == (
        "SSLContext"
    )


def test_the_client_starts_without_http_client_and_email() -> None:
    dear = "http.client http.server email ssl logging urllib.parse threading"
    code = (
        f"import fleet_agent.httpd.client\nprint([m for m in {dear.split()!r} if m in sys.modules])"
    )
    assert fresh(code) == "[]"
