import pytest

from fleet_agent.httpd.refusal import Refusal
from fleet_agent.httpd.target import Target, is_authority, read_target


@pytest.mark.parametrize(
    ("target", "read"),
    [
        ("/", Target("/", "/", ())),
        ("/health", Target("/health", "/health", ())),
        ("/a%20b", Target("/a%20b", "/a b", ())),
        ("/caf%C3%A9", Target("/caf%C3%A9", "/café", ())),
        ("/a%2Fb", Target("/a%2Fb", "/a/b", ())),
        ("///keeping_slashes", Target("///keeping_slashes", "///keeping_slashes", ())),
        ("/..", Target("/..", "/..", ())),
        (
            "/find?capability=ansible-deploy",
            Target("/find", "/find", (("capability", "ansible-deploy"),)),
        ),
        ("/?", Target("/", "/", ())),
        ("/?a&b=&=c&&a=1=2", Target("/", "/", (("a", ""), ("b", ""), ("", "c"), ("a", "1=2")))),
        ("/?q=a+b%2Bc", Target("/", "/", (("q", "a b+c"),))),
        ("/a+b", Target("/a+b", "/a+b", ())),
        ("http://example.com/foo?q=1", Target("/foo", "/foo", (("q", "1"),))),
        ("HTTPS://example.com:8443", Target("/", "/", ())),
        ("http://example.com?q=1", Target("/", "/", (("q", "1"),))),
        ("http://[::1]:8080/foo", Target("/foo", "/foo", ())),
    ],
)
def test_a_path_or_an_http_url_is_read(target: str, read: Target) -> None:
    assert read_target("GET", target) == read


@pytest.mark.parametrize(
    "target",
    [
        "health",
        "example.com:443",
        "ftp://example.com/",
        "http://",
        "http:///path",
        "http://user@example.com/",
        "http://exa mple/",
        "*",
        "",
        "/a b",
        "/#fragment",
        "/caf\xe9",
        "/\x00",
        "/\x7f",
        "/\t",
        '/"',
        "/<",
        "/\\",
        "/^",
        "/`",
        "/{x}",
        "/|",
        "/%",
        "/%4",
        "/%zz",
        "/%%41",
        "/?a=%f",
        "/%00",
        "/?a=%00",
        "/%ff",
        "/?%c3%28",
        "/%c0%af",
        "/%ed%a0%80",
    ],
)
def test_any_other_target_is_refused(target: str) -> None:
    refused = read_target("GET", target)
    assert isinstance(refused, Refusal)
    assert refused.status == 400


def test_an_asterisk_is_for_options_alone() -> None:
    assert read_target("OPTIONS", "*") == Target("*", "*", ())


@pytest.mark.parametrize(
    "host",
    [
        "a",
        "example.com",
        "example.com:80",
        "192.0.2.1:8646",
        "[::1]",
        "[2001:db8::1]:8646",
        "[fe80::1%25eth0]:80",
        "a_b-c.d~e",
        "xn--caf-dma.fr",
        "example.com:",
        "0.0.0.0=5000",
    ],
)
def test_a_host_is_a_host(host: str) -> None:
    assert is_authority(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "a, a",
        "a/b",
        "a@b",
        "user@host:80",
        "::1",
        "[::1",
        "::1]",
        "[]",
        "a:b",
        "a:123456",
        "a:80:80",
        "caf\xe9",
        "a\tb",
        "http://a",
        "a?b",
        "a#b",
        "[::1]x",
        "a:\uff18\uff10",
    ],
)
def test_anything_else_is_no_host(host: str) -> None:
    assert not is_authority(host)
