"""The mirror on real repositories: fetched by force, peeled, and no word of theirs is run."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from fleet_agent.deploy import checkout
from fleet_agent.deploy.paths import DeployPaths
from fleet_agent.deploy.source import FetchError, NoSuchCommit, Source, ssh_command
from fleet_agent.errors import RequestError
from fleet_agent.limits import Limits
from tests.deploy_world import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    made = Source(DeployPaths(str(tmp_path / "state")))
    made.prepare()
    return made


def fetch(source: Source, repository: Repository) -> None:
    source.fetch(str(repository.path), 30)


def test_where_there_is_no_mirror_yet_there_is_nothing_to_tidy(tmp_path: Path) -> None:
    fresh = Source(DeployPaths(str(tmp_path / "state")))
    fresh.tidy()
    assert not (tmp_path / "state").exists()
    fresh.prepare()
    fresh.tidy()


def test_a_mirror_that_a_power_cut_left_half_made_is_made_good(
    source: Source, repository: Repository
) -> None:
    kept = repository.commit("kept")
    repository.tag("PROD", kept)
    fetch(source, repository)
    source.keep(1, kept)
    # What a journaling file system shows of a file whose data was not written in time.
    Path(source.paths.mirror, "HEAD").write_bytes(b"")
    one = repository.commit("one")
    repository.tag("PROD", one)
    fetch(source, repository)
    assert source.peel("refs/tags/PROD").commit == one
    assert source.peel("refs/deploys/1").commit == kept


def test_a_moved_tag_and_a_rewritten_branch_are_taken_and_gone_ones_go(
    source: Source, repository: Repository
) -> None:
    one = repository.commit("one")
    repository.tag("PROD", one)
    repository.tag("old", one)
    fetch(source, repository)
    assert source.peel("refs/tags/PROD").commit == one
    repository.git("commit", "--quiet", "--amend", "-m", "other")
    other = repository.git("rev-parse", "HEAD")
    repository.tag("PROD", other, annotated=True)
    repository.untag("old")
    fetch(source, repository)
    peeled = source.peel("refs/tags/PROD")
    assert peeled.commit == other and peeled.tag_object != other
    assert source.find("main").commit == other
    with pytest.raises(NoSuchCommit):
        source.peel("refs/tags/old")


def test_a_verified_commit_survives_its_tag_a_prune_and_a_gc(
    source: Source, repository: Repository
) -> None:
    repository.commit("one")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("side")
    fetch(source, repository)
    source.keep(7, side)
    repository.git("checkout", "--quiet", "main")
    repository.git("branch", "-D", "side")
    fetch(source, repository)
    source.git("gc", "--prune=now", "--quiet")
    assert source.find("refs/deploys/7").commit == side
    assert source.has(side)
    source.forget(7)
    with pytest.raises(NoSuchCommit):
        source.find("refs/deploys/7")


def test_what_was_pushed_into_the_mirror_stays_over_a_fetch(
    source: Source, repository: Repository
) -> None:
    one = repository.commit("one")
    repository.git("push", "--quiet", source.paths.mirror, "HEAD:refs/bootstrap/x")
    fetch(source, repository)
    assert source.find("refs/bootstrap/x").commit == one


def test_a_person_s_name_is_a_tag_before_a_branch_and_a_commit_by_seven_digits(
    source: Source, repository: Repository
) -> None:
    one, two = repository.commit("one"), repository.commit("two")
    repository.tag("both", one)
    repository.git("branch", "both", two)
    fetch(source, repository)
    assert source.find("both").commit == one
    assert source.find("refs/heads/both").commit == two
    assert source.find(one[:7]).commit == one
    for name in (one[:6], "f" * 40, "HEAD~1x", "nowhere"):
        with pytest.raises(RequestError):
            source.find(name)


@pytest.mark.parametrize("name", ["-x", "--all", "a..b", "main^", "main:f", "", "@{u}"])
def test_a_name_with_a_meaning_to_git_is_refused(source: Source, name: str) -> None:
    with pytest.raises(RequestError):
        source.find(name)


def test_a_tag_of_a_file_names_no_commit(source: Source, repository: Repository) -> None:
    repository.commit("one", {"f": "x"})
    repository.git("tag", "blob", repository.git("rev-parse", "HEAD:f"))
    fetch(source, repository)
    with pytest.raises(NoSuchCommit, match="no commit"):
        source.peel("refs/tags/blob")


def test_the_branch_is_asked_for_and_its_absence_told(
    source: Source, repository: Repository
) -> None:
    one = repository.commit("one")
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit("side")
    fetch(source, repository)
    source.must_lie_on(one, "main")
    source.must_lie_on(side, "side")
    with pytest.raises(NoSuchCommit, match="does not lie on branch main"):
        source.must_lie_on(side, "main")
    with pytest.raises(NoSuchCommit, match="does not exist"):
        source.must_lie_on(one, "trunk")


@pytest.mark.parametrize("repository_url", ["ext::touch owned", "-c", "--upload-pack=touch owned"])
def test_a_url_that_would_run_something_runs_nothing(
    source: Source, tmp_path: Path, repository_url: str
) -> None:
    with pytest.raises(FetchError):
        source.fetch(repository_url, 30)
    assert not list(tmp_path.rglob("owned"))


def test_a_fetch_that_fails_says_where_and_keeps_a_password_to_itself(source: Source) -> None:
    with pytest.raises(FetchError) as caught:
        source.fetch("http://bot:s3cret@127.0.0.1:9/x.git", 30)
    assert "127.0.0.1:9" in str(caught.value) and "s3cret" not in str(caught.value)
    with pytest.raises(FetchError, match="no repository is configured"):
        source.fetch("", 30)


def test_a_fetch_that_the_network_broke_is_tried_once_more(source: Source) -> None:
    tries = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            nonlocal tries
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return
                tries += 1

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        with pytest.raises(FetchError):
            source.fetch(f"http://127.0.0.1:{server.getsockname()[1]}/x.git", 30)
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)
    assert tries == 2


def test_an_environment_for_git_that_is_not_ours_is_not_taken(
    source: Source, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = repository.commit("one")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    fetch_env = dict(os.environ)
    assert "GIT_DIR" in fetch_env
    source.fetch(str(repository.path), 30)
    assert source.find("main").commit == one


def test_no_hook_of_the_mirror_is_run(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    hooks = Path(source.paths.mirror) / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-update", "update"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
        (hooks / name).chmod(0o755)
    repository.commit("one")
    fetch(source, repository)
    source.keep(1, source.find("main").commit)
    assert not (tmp_path / "owned").exists()


def test_ssh_gets_fixed_words_with_key_and_pins_also_from_a_path_with_blanks(
    tmp_path: Path,
) -> None:
    paths = DeployPaths(str(tmp_path / "a b"))
    assert "-i" not in shlex.split(ssh_command(paths))
    Path(paths.git_key).parent.mkdir(parents=True)
    Path(paths.git_key).touch()
    words = shlex.split(ssh_command(paths))
    assert words[0] == "ssh" and words[words.index("-i") + 1] == paths.git_key
    assert "StrictHostKeyChecking=yes" in words and "BatchMode=yes" in words
    assert f'UserKnownHostsFile="{paths.known_hosts}"' in words


# Checkout.


def written(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_a_checkout_has_the_commit_s_bytes_whatever_its_attributes_say(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    files = {
        ".gitattributes": "* text eol=crlf\n*.id ident\n*.x filter=evil\n",
        "a.txt": "one\ntwo\n", "b.id": "$Id$\n", "c.x": "x", "deep/er/d": "", "ä ö": "u",
    }  # fmt: skip
    repository.commit("one", files)
    (repository.path / "run").write_text("#!/bin/sh\n")
    (repository.path / "run").chmod(0o755)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "-m", "run")
    fetch(source, repository)
    into = tmp_path / "tree"
    commit = source.find("main").commit
    checkout.check_out(source, commit, str(into), Limits())
    found = written(into)
    assert found.pop("run") == b"#!/bin/sh\n"
    assert found == {name: text.encode() for name, text in files.items()}
    assert (into / "run").stat().st_mode & 0o777 == 0o555
    assert (into / "a.txt").stat().st_mode & 0o777 == 0o444
    checkout.check_out(source, commit, str(into), Limits())  # over one that lies there
    checkout.remove(str(into))
    assert not into.exists()


def test_links_and_submodules_are_refused_by_name(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    (repository.path / "link").symlink_to("/etc/passwd")
    repository.commit("link", {"f": "x"})
    fetch(source, repository)
    with pytest.raises(checkout.TreeError, match="link: is a symbolic link"):
        checkout.check_out(source, source.find("main").commit, str(tmp_path / "t"), Limits())
    repository.git("rm", "--quiet", "link")
    head = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    repository.git("commit", "--quiet", "-m", "sub")
    fetch(source, repository)
    with pytest.raises(checkout.TreeError, match="sub: is a submodule"):
        checkout.check_out(source, source.find("main").commit, str(tmp_path / "t"), Limits())
    assert not (tmp_path / "t").exists()


def test_a_tree_that_leaves_itself_is_refused(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("one", {"f": "x"})
    blob = repository.git("rev-parse", "HEAD:f")
    raw = b"100644 ..\0" + bytes.fromhex(blob)
    (tmp_path / "tree").write_bytes(raw)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", str(tmp_path / "tree"))
    commit = repository.git("commit-tree", tree, "-m", "evil")
    repository.git("update-ref", "refs/heads/main", commit)
    fetch(source, repository)
    with pytest.raises(checkout.TreeError, match=r"'\.\.'"):
        checkout.check_out(source, commit, str(tmp_path / "t"), Limits())


@pytest.mark.parametrize("limits", [{"deploy_tree_files": 10}, {"deploy_tree_mib": 1}])
def test_a_tree_over_the_limits_is_refused_before_it_is_written(
    source: Source, repository: Repository, tmp_path: Path, limits: dict[str, int]
) -> None:
    repository.commit("many", {f"f{n}": "x" * 100_000 + str(n) for n in range(11)})
    fetch(source, repository)
    with pytest.raises(checkout.TreeError, match="holds more than"):
        checkout.check_out(source, source.find("main").commit, str(tmp_path / "t"), Limits(limits))
    assert not (tmp_path / "t").exists()


def tree_of(repository: Repository, *entries: str) -> str:
    """A tree object of ls-tree's lines."""
    listed = repository.path / ".git" / "entries"
    listed.write_text("".join(f"{entry}\0" for entry in entries))
    with listed.open() as lines:
        made = subprocess.run(
            ["git", "mktree", "-z"], cwd=repository.path, stdin=lines, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
    return made.stdout.strip()


def committed(repository: Repository, source: Source, tree: str) -> str:
    commit = repository.git("commit-tree", tree, "-m", "evil")
    repository.git("update-ref", "refs/heads/main", commit)
    fetch(source, repository)
    return commit


def test_a_few_objects_that_stand_for_billions_of_files_are_refused(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("one", {"f": "x"})
    blob = repository.git("rev-parse", "HEAD:f")
    tree = tree_of(repository, *(f"100644 blob {blob}\tf{n}" for n in range(10)))
    for _ in range(9):
        tree = tree_of(repository, *(f"040000 tree {tree}\td{n}" for n in range(10)))
    commit = committed(repository, source, tree)
    with pytest.raises(checkout.TreeError, match="holds more than 20000 files"):
        checkout.check_out(source, commit, str(tmp_path / "t"), Limits())
    assert not (tmp_path / "t").exists()


def test_folders_too_deep_to_be_walked_through_are_refused(
    source: Source, repository: Repository, tmp_path: Path
) -> None:
    repository.commit("one", {"f": "x"})
    blob = repository.git("rev-parse", "HEAD:f")
    tree = tree_of(repository, f"100644 blob {blob}\tf")
    for _ in range(1200):  # a file in each: so none of these folders is made by the next one
        tree = tree_of(repository, f"100644 blob {blob}\tf", f"040000 tree {tree}\td")
    commit = committed(repository, source, tree)
    with pytest.raises(checkout.TreeError, match="too deep"):
        checkout.check_out(source, commit, str(tmp_path / "t"), Limits())
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b]0;owned\x07", "a\rb", "tab\there", "\u202egnp.exe", "n" * 256]
)
def test_names_that_lie_to_a_reader_or_fit_no_file_system_are_refused(
    source: Source, repository: Repository, tmp_path: Path, name: str
) -> None:
    repository.commit("one", {"f": "x"})
    blob = repository.git("rev-parse", "HEAD:f")
    commit = committed(repository, source, tree_of(repository, f"100644 blob {blob}\t{name}"))
    with pytest.raises(checkout.TreeError) as refused:
        checkout.check_out(source, commit, str(tmp_path / "t"), Limits())
    assert str(refused.value).isprintable()
    assert not (tmp_path / "t").exists()
