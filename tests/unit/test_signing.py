"""Signatures of Standard Webhooks: against the public libraries, and against what forgers try."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from binascii import a2b_base64, b2a_base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent import signing
from fleet_agent.signing import SignatureRefused, sign, sign_with, verify

KEY, OLD = bytes(range(32)), bytes(range(32, 64))
BODY = b'{"from":"ezra"}'
NOW = 1_700_000_000
WINDOW = 300.0


def whsec(key: bytes) -> str:
    """A key as the public libraries take it."""
    return "whsec_" + b2a_base64(key, newline=False).decode()


def refused(
    header: str, *, keys: tuple[bytes, ...] = (KEY,), id_: str = "msg_1", at: str = str(NOW),
    body: bytes = BODY, now: float = NOW,
) -> tuple[str, str]:  # fmt: skip
    """Where and why a signature is refused; twice nothing for one that is taken."""
    try:
        verify(keys, id_, at, body, header, now=now, window_seconds=WINDOW)
    except SignatureRefused as error:
        assert error.http_status == 401
        assert error.mend
        return error.where, error.what
    return "", ""


def test_the_example_that_the_libraries_are_tested_with() -> None:
    key = a2b_base64("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


class TestWithTheLibraryOfPython:
    def test_it_verifies_what_we_sign(self) -> None:
        now = int(time.time())
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(now),
            "webhook-signature": sign_with((KEY, OLD), "msg_1", now, BODY),
        }
        for key in (KEY, OLD):
            assert standardwebhooks.Webhook(whsec(key)).verify(BODY, headers) == json.loads(BODY)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(whsec(b"x" * 32)).verify(BODY, headers)

    @given(
        key=st.binary(min_size=1, max_size=100),
        id_=st.from_regex(r"[A-Za-z0-9_:@=+-]{1,128}", fullmatch=True),
        at=st.integers(0, 10**10),
        body=st.text(st.characters(exclude_categories=["Cs"])),
    )
    def test_we_verify_what_it_signs(self, key: bytes, id_: str, at: int, body: str) -> None:
        theirs = standardwebhooks.Webhook(whsec(key)).sign(
            id_, datetime.fromtimestamp(at, UTC), body
        )
        assert theirs == sign(key, id_, at, body.encode())
        verify((key,), id_, str(at), body.encode(), theirs, now=at, window_seconds=WINDOW)


class TestWithTheLibraryOfNode:
    def test_each_verifies_what_the_other_signs(self, node_library: Path) -> None:
        now = int(time.time())
        script = """
            const { Webhook } = require("standardwebhooks");
            const [secret, id, at, signature, body] = JSON.parse(process.argv[1]);
            const headers = {"webhook-id": id, "webhook-timestamp": at,
                             "webhook-signature": signature};
            new Webhook(secret).verify(body, headers);
            process.stdout.write(new Webhook(secret).sign(id, new Date(at * 1000), body));
        """
        said = [whsec(KEY), "msg_1", str(now), sign(KEY, "msg_1", now, BODY), BODY.decode()]
        done = subprocess.run(
            ["node", "-e", script, json.dumps(said)],
            cwd=node_library, check=True, capture_output=True, text=True,
        )  # fmt: skip
        assert refused(done.stdout, at=str(now), now=now) == ("", "")


@pytest.fixture(scope="session")
def node_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the npm package standardwebhooks."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    folder = tmp_path_factory.mktemp("node")
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "standardwebhooks@1"],
        cwd=folder, check=False, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"npm can't install standardwebhooks here: {done.stderr[-200:]}")
    return folder


class TestWhatIsTaken:
    def test_a_signature_by_any_of_the_valid_epochs(self) -> None:
        assert refused(sign(OLD, "msg_1", NOW, BODY), keys=(KEY, OLD)) == ("", "")

    def test_one_right_signature_among_several(self) -> None:
        header = f"v1a,{'A' * 88} {sign(OLD, 'msg_1', NOW, BODY)} {sign(KEY, 'msg_1', NOW, BODY)}"
        assert refused(header) == ("", "")

    @pytest.mark.parametrize("off", [-WINDOW, 0, WINDOW])
    def test_a_time_within_the_window(self, off: float) -> None:
        assert refused(sign(KEY, "msg_1", NOW, BODY), now=NOW + off) == ("", "")


class TestWhatIsRefused:
    @pytest.mark.parametrize("off", [-WINDOW - 1, WINDOW + 1, 10**8])
    def test_a_true_signature_of_another_time_is_told_ours(self, off: float) -> None:
        good = sign(KEY, "msg_1", NOW, BODY)
        with pytest.raises(SignatureRefused) as caught:
            verify((KEY,), "msg_1", str(NOW), BODY, good, now=NOW + off, window_seconds=WINDOW)
        assert caught.value.where == signing.HEADER_TIMESTAMP
        assert caught.value.extra == {"time": int(NOW + off)}

    def test_a_false_signature_of_another_time_is_told_nothing_of_ours(self) -> None:
        with pytest.raises(SignatureRefused) as caught:
            verify((KEY,), "msg_1", "1", BODY, sign(OLD, "msg_1", 1, BODY), now=NOW,
                   window_seconds=WINDOW)  # fmt: skip
        assert (caught.value.where, caught.value.extra) == (signing.HEADER_SIGNATURE, {})

    @pytest.mark.parametrize(
        ("id_", "at", "body"),
        [
            ("msg_2", str(NOW), BODY),
            ("msg_1", str(NOW + 1), BODY),
            ("msg_1", f"0{NOW}", BODY),
            ("msg_1", str(NOW), BODY + b" "),
            ("msg_1", str(NOW), b""),
        ],
    )
    def test_a_replay_that_was_altered_in_one_place(self, id_: str, at: str, body: bytes) -> None:
        header = sign(KEY, "msg_1", NOW, BODY)
        assert refused(header, id_=id_, at=at, body=body)[0] == signing.HEADER_SIGNATURE

    def test_a_border_that_was_moved_between_id_time_and_body(self) -> None:
        header = sign(KEY, "a", 1, b"2.x")
        assert refused(header, id_="a.1", at="2", body=b"x", now=2)[0] == signing.HEADER_ID

    def test_another_pair_s_key_and_no_key_at_all(self) -> None:
        header = sign(KEY, "msg_1", NOW, BODY)
        assert refused(header, keys=(OLD,))[0] == signing.HEADER_SIGNATURE
        assert refused(header, keys=())[0] == signing.HEADER_SIGNATURE

    @pytest.mark.parametrize("at", ["", "-1", "1e9", "\u0661\u0667", "1.5", " 1", "9" * 16])
    def test_a_time_that_is_none(self, at: str) -> None:
        assert refused(sign(KEY, "msg_1", NOW, BODY), at=at)[0] == signing.HEADER_TIMESTAMP

    @pytest.mark.parametrize("id_", ["", "a b", "a.b", "é", "x" * 129, "a\n"])
    def test_an_id_that_is_none(self, id_: str) -> None:
        assert refused(sign(KEY, "msg_1", NOW, BODY), id_=id_)[0] == signing.HEADER_ID

    @given(header=st.text())
    def test_whatever_else_stands_in_the_header(self, header: str) -> None:
        assert refused(header)[0] == signing.HEADER_SIGNATURE

    def test_a_header_of_a_thousand_signatures(self) -> None:
        good = sign(KEY, "msg_1", NOW, BODY)
        header = " ".join([sign(OLD, "msg_1", NOW, BODY)] * 1000 + [good])
        assert refused(header)[0] == signing.HEADER_SIGNATURE

    def test_the_refusal_repeats_neither_key_nor_signature(self) -> None:
        right = sign(KEY, "msg_1", NOW, BODY)
        said = refused(right, keys=(OLD,))[1]
        assert right[3:] not in said
