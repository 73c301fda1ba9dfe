"""YAML text to nodes: what is refused, where it says so, and that nothing else ever happens."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.limits import Limits
from fleet_agent.yamlfile.compose import compose, read_file
from fleet_agent.yamlfile.mistakes import Mistakes
from fleet_agent.yamlfile.nodes import Mapping, Node, Scalar, Sequence

LOADERS = [yaml.SafeLoader, yaml.CSafeLoader]


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request: pytest.FixtureRequest) -> object:
    return request.param


def read(
    text: str | bytes, loader: object, **limits: float
) -> tuple[Node | None, list[tuple[int, str, str]]]:
    """The node, and each mistake as line, key, what."""
    mistakes = Mistakes("f.yaml", Limits(limits))
    node = compose(text.encode() if isinstance(text, str) else text, mistakes, loader)
    return node, [(found.line, found.key, found.what) for found in mistakes.all()]


def plain(node: Node | None) -> object:
    """A node as the lists, dictionaries and texts that it is made of."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return None if node is None else node.text


def test_values_stay_the_text_that_stands_in_the_file(loader: object) -> None:
    node, mistakes = read("a: no\nb: [1.10, 0640, 'x']\nc: {d: 2001:db8::1}\n", loader)
    assert plain(node) == {"a": "no", "b": ["1.10", "0640", "x"], "c": {"d": "2001:db8::1"}}
    assert mistakes == []


def test_every_value_and_key_knows_its_line(loader: object) -> None:
    node, _ = read("a: 1\nb:\n  - x\n  - {c: 2}\n", loader)
    assert isinstance(node, Mapping)
    items = node.entries["b"]
    assert isinstance(items, Sequence)
    assert (node.lines["a"], node.lines["b"], items.items[0].line) == (1, 2, 3)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    assert inner.lines["c"] == 4


def test_quotes_are_remembered(loader: object) -> None:
    node, _ = read("[no, 'no', \"no\"]", loader)
    assert isinstance(node, Sequence)
    assert [item.plain for item in node.items if isinstance(item, Scalar)] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "line", "key", "what"),
    [
        ("a: 1\na: 2\n", 2, "", "the key 'a' is here twice"),
        ("w:\n  x: {b: 1, b: 2}\n", 2, "w.x", "the key 'b' is here twice"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "a", "tag"),
        ("a: !!str 640\n", 1, "a", "tag"),
        ("a: !vault x\n", 1, "a", "tag"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", 2, "c", "merge keys"),
        ("no: 1\n", 1, "", "the key no reads as a yes/no value"),
        ("12: 1\n", 1, "", "the key 12 reads as a number"),
        ("~: 1\n", 1, "", "a key without a name"),
        ("? [a, b]\n: 1\n", 1, "", "a key must be text"),
        ("? {a: b}\n: 1\n", 1, "", "a key must be text"),
        ("a: *nothing\n", 1, "a", "there is no anchor &nothing"),
        ("a: &x [*x]\n", 1, "a[0]", "the alias *x stands inside of what it repeats"),
        ("a: 1\n---\nb: 2\n", 2, "", "a second document begins"),
        ("a:\n\t- b\n", 2, "", "is indented with a tab"),
        ("a: b: c\n", 1, "", "is not YAML: mapping values are not allowed"),
        ("a: [1, 2\n", 2, "", "is not YAML"),
        ("a: {h: http://[::1]/}\n", 1, "", "is not YAML"),
        ("a: 'x\n", 2, "", "is not YAML"),
        ('a: "\\UFFFFFFFF"\n', 0, "", "is not YAML"),
        ("a: @x\n", 1, "", "is not YAML"),
        ("a: b\x07\n", 1, "", "control character"),
        ("a: b\n\nc: \x00\n", 3, "", "control character"),
        ("", 0, "", "is empty"),
        ("# only a comment\n", 0, "", "is empty"),
    ],
)
def test_refuses(text: str, line: int, key: str, what: str, loader: object) -> None:
    _, mistakes = read(text, loader)
    assert len(mistakes) == 1
    found_line, found_key, found_what = mistakes[0]
    assert what in found_what
    assert found_key == key
    if "UFFFFFFFF" not in text:  # the two loaders tell it differently, one without a line
        assert found_line == line


def test_bytes_that_are_not_utf8_are_refused_with_their_line(loader: object) -> None:
    _, mistakes = read(b"a: 1\nb: \xff\n", loader)
    assert mistakes == [(2, "", "is not UTF-8 text")]


def test_a_byte_order_mark_is_no_part_of_the_first_key(loader: object) -> None:
    node, mistakes = read(b"\xef\xbb\xbfa: 1\n", loader)
    assert (plain(node), mistakes) == ({"a": "1"}, [])


def test_every_tab_is_shown_in_one_run(loader: object) -> None:
    _, mistakes = read("a:\n\tb: 1\nc:\n\td: 1\n", loader)
    assert [line for line, _, what in mistakes if "tab" in what] == [2, 4]


def test_mistakes_before_a_syntax_error_are_kept(loader: object) -> None:
    _, mistakes = read("a: 1\na: 2\nb: [\n", loader)
    assert mistakes[0][2] == "the key 'a' is here twice"
    assert len(mistakes) == 2


def test_an_alias_repeats_its_anchor(loader: object) -> None:
    node, mistakes = read("a: &x {b: [1]}\nc: *x\nd: &y z\ne: *y\n", loader)
    assert plain(node) == {"a": {"b": ["1"]}, "c": {"b": ["1"]}, "d": "z", "e": "z"}
    assert mistakes == []


def test_aliases_that_explode_are_refused(loader: object) -> None:
    laughs = "a0: &a0 [lol, lol]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)
    )
    _, mistakes = read(laughs, loader)
    assert ["aliases repeat more than" in what for _, _, what in mistakes] == [True]


def test_aliases_do_not_hide_depth(loader: object) -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 40))
    _, mistakes = read(chain, loader)
    assert [what for _, _, what in mistakes] == ["is nested deeper than 32 levels"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 5000])
def test_deep_nesting_ends_early(text: str, loader: object) -> None:
    _, mistakes = read(text, loader)
    assert [what for _, _, what in mistakes] == ["is nested deeper than 32 levels"]


def test_many_values_end_early(loader: object) -> None:
    _, mistakes = read("[" + "x," * 2000 + "]", loader, yaml_nodes=1000)
    assert [what for _, _, what in mistakes] == ["has more than 1000 values"]


def test_a_large_text_is_refused_before_it_is_read(loader: object) -> None:
    _, mistakes = read("a" * 2000, loader, registry_bytes=1024)
    assert [what for _, _, what in mistakes] == ["is larger than 1024 bytes"]


@given(st.text(alphabet=st.sampled_from("ab:-?!&*<[]{},'\"|>%@#\\ \t\n0~=.x"), max_size=60))
def test_anything_is_a_node_or_a_mistake(text: str) -> None:
    for loader in LOADERS:
        node, mistakes = read(text, loader)
        assert node is not None or mistakes


@given(st.binary(max_size=200))
def test_any_bytes_are_a_node_or_a_mistake(data: bytes) -> None:
    for loader in LOADERS:
        node, mistakes = read(data, loader)
        assert node is not None or mistakes


class TestReadFile:
    def test_reads_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f.yaml").write_text("a: 1\n")
        mistakes = Mistakes("f.yaml", Limits())
        assert plain(read_file(str(tmp_path / "f.yaml"), mistakes)) == {"a": "1"}

    def test_a_missing_file_is_a_mistake(self, tmp_path: Path) -> None:
        mistakes = Mistakes("f.yaml", Limits())
        assert read_file(str(tmp_path / "f.yaml"), mistakes) is None
        assert "No such file" in mistakes.all()[0].what

    def test_a_directory_is_a_mistake(self, tmp_path: Path) -> None:
        mistakes = Mistakes("f.yaml", Limits())
        assert read_file(str(tmp_path), mistakes) is None
        assert "directory" in mistakes.all()[0].what

    def test_a_pipe_that_nobody_writes_to_does_not_hang(self, tmp_path: Path) -> None:
        import os

        os.mkfifo(tmp_path / "pipe")
        mistakes = Mistakes("pipe", Limits())
        assert read_file(str(tmp_path / "pipe"), mistakes) is None
        assert mistakes.all()[0].what == "is empty"

    def test_no_more_is_read_than_the_limit(self, tmp_path: Path) -> None:
        (tmp_path / "f.yaml").write_text("a" * 2000)
        mistakes = Mistakes("f.yaml", Limits({"registry_bytes": 1024}))
        assert read_file(str(tmp_path / "f.yaml"), mistakes) is None
        assert mistakes.all()[0].what == "is larger than 1024 bytes"
