import pytest

from fleet_agent.errors import ConfigError
from fleet_agent.httpd.dial import Url, read_url


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        (
            "http://192.0.2.10:8646/health",
            Url(False, "192.0.2.10", 8646, "/health"),
            "192.0.2.10:8646",
        ),
        ("http://host", Url(False, "host", 80, "/"), "host"),
        ("HTTPS://host/a?b=%20", Url(True, "host", 443, "/a?b=%20"), "host"),
        ("https://host:80", Url(True, "host", 80, "/"), "host:80"),
        ("http://host?q=1", Url(False, "host", 80, "/?q=1"), "host"),
        ("http://[2001:db8::1]:8646/", Url(False, "2001:db8::1", 8646, "/"), "[2001:db8::1]:8646"),
        ("http://[fe80::1%eth0]/", Url(False, "fe80::1%eth0", 80, "/"), "[fe80::1]"),
    ],
)
def test_a_url_is_taken_apart(text: str, url: Url, authority: str) -> None:
    assert read_url(text) == url
    assert url.authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "ftp://host/",
        "http://",
        "http:///x",
        "http://user@host/",
        "http://::1/",
        "http://[::1",
        "http://host:x/",
        "http://host:0/",
        "http://host:65536/",
        "http://host/a b",
        "http://host/\r\nX: y",
        "http://host/#f",
        "http://ho st/",
        "http://host/caf\xe9",
        " http://host/",
    ],
)
def test_what_is_no_http_url_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        read_url(text)
