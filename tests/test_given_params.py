"""Parameters that a user gives: weights as NPZ, an embedding as text, and what becomes of them."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from here import asked, rnnbench

from bench.config import given_params, grid, options, workload_file
from bench.records import schema, store
from bench.records.workload import Workload
from tasks.spec import ModelSpec, Params, init_params

SPEC = ModelSpec(cell="gru", input_size=3, hidden_size=4, vocab_size=5, output_size=2)
NET = ("--task=custom", "--cell=gru", "--input=3", "--hidden=4", "--classes=2", "--batch=2")
TINY = (*NET, "--steps=3", "--backend=numpy")
TABLE = np.array([[0.5, -1.25, 3.0], [1e-3, 2.0, -0.75]])

GLOVE = "the 0.5 -1.25 3\nqueen 1e-3 2.0 -.75\n"
FORMS = {
    "GloVe": GLOVE,
    "word2vec": f"2 3\n{GLOVE}",
    "no line end": GLOVE.rstrip(),
    "empty last lines": f"{GLOVE}\n\n",
    "spaces at the end": GLOVE.replace("\n", " \n"),
    "Windows": GLOVE.replace("\n", "\r\n"),
    "a number as word": GLOVE.replace("the", "1999"),
    "letters of many languages": GLOVE.replace("queen", "королева"),
}


def numbers(spec: ModelSpec = SPEC) -> Params:
    return {name: array * 0.5 for name, array in init_params(spec, 7).items()}


def saved(folder: Path, params: Params, name: str = "net.npz") -> Path:
    np.savez(folder / name, **params)  # type: ignore[arg-type]
    return folder / name


def text(folder: Path, content: str, name: str = "vectors.txt") -> Path:
    (folder / name).write_bytes(content.encode())
    return folder / name


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_an_embedding_gives_its_table(tmp_path: Path, form: str) -> None:
    path = text(tmp_path, FORMS[form])
    file, shape = given_params.read_embedding(path)
    assert shape == (2, 3)
    assert file.name == "vectors.txt"
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(given_params._TABLES[file.sha256]["E"], TABLE)


def test_words_may_contain_spaces_and_numbers(tmp_path: Path) -> None:
    lines = ["new york 1.5 2 3", "a 4 5 6", "b 7 8 9", ". . . 1 2 4", "boeing 747 3 2 1", "c 1 1 1"]
    for content in ("\n".join(lines), "\n".join(["6 3", *lines])):
        file, shape = given_params.read_embedding(text(tmp_path, content))
        assert shape == (6, 3)
        table = given_params._TABLES[file.sha256]["E"]
        expected = [[1.5, 2, 3], [4, 5, 6], [7, 8, 9], [1, 2, 4], [3, 2, 1], [1, 1, 1]]
        assert table.tolist() == expected


WRONG_TABLES = {
    "too few": ("a 1 2 3\nb 1 2\n", ["line 2: expected a word and 3 numbers, found 3 words"]),
    "too many": ("a .1 .2\nb .1 .2\nc .1 .2 .3\n", ["line 3: expected a word and 2 num", "more"]),
    "no number": ("a 1 2 3\nb 1 x 3\n", ["line 2: expected a word and 3 numbers, found 'x'"]),
    "not a number": ("a 1 2\nb 1 nan\n", ["line 2", "found 'nan'"]),
    "infinity": ("a 1 2\nb 1 1e999\n", ["line 2", "found '1e999'"]),
    "empty line": ("a 1 2\n\nb 1 2\n", ["line 2: expected a word and 2 numbers, found 0 words"]),
    "below a head line": ("2 3\na 1 2 3\nb 1 2\n", ["line 3: expected a word and 3 numbers"]),
    "rows missing": ("3 2\na 1 2\nb 1 2\n", ["has 2 vectors; expected 3, as line 1 has it"]),
    "words alone": ("one\ntwo\n", ["line 1: expected a word and its numbers"]),
    "nothing": ("", ["has no vectors; expected a word and its numbers in each line"]),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_wrong_embedding_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    content, words = WRONG_TABLES[name]
    path = text(tmp_path, content)
    with pytest.raises(ValueError, match="expected") as raised:
        given_params.read_embedding(path)
    for word in (str(path), *words):
        assert word in str(raised.value)


def test_an_embedding_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vectors.bin"
    path.write_bytes(b"2 3\na \x00\xff\xfe")
    with pytest.raises(ValueError, match="not text in UTF-8: byte 0xff in line 2, column 4"):
        given_params.read_embedding(path)


def _zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "net.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    return folder / "net.npz"


def _cut(folder: Path) -> Path:
    path = saved(folder, numbers())
    path.write_bytes(path.read_bytes()[:-50])
    return path


def _damaged(folder: Path) -> Path:
    whole = io.BytesIO()
    np.savez_compressed(whole, W_hy=np.random.default_rng(0).random((40, 40)))
    content = bytearray(whole.getvalue())
    content[len(content) // 2] ^= 0xFF
    (folder / "net.npz").write_bytes(content)
    return folder / "net.npz"


def _single(folder: Path) -> Path:
    with (folder / "net.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    return folder / "net.npz"


def _with(name: str, value: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        params = {**numbers(), name: value}
        return saved(folder, {name: array for name, array in params.items() if array is not None})  # type: ignore[misc]

    return make


WRONG_WEIGHTS: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "text": (lambda folder: text(folder, "hello", "net.npz"), ["is not an NPZ file of numbers"]),
    "nothing": (lambda folder: text(folder, "", "net.npz"), ["is not an NPZ file of numbers"]),
    "cut off": (_cut, ["is not an NPZ file of numbers", "numpy.savez(FILE, **parameters)"]),
    "damaged": (_damaged, ["is not an NPZ file of numbers"]),
    "an array": (_single, ["is not an NPZ file of numbers: it holds a single array"]),
    "another zip": (_zip, ["readme.txt is no array; expected numbers"]),
    "objects": (_with("b_y", np.array([None, {}])), ["is not an NPZ file of numbers", "pickle"]),
    "words": (_with("b_y", np.array(["a", "b"])), ["b_y is <U1; expected numbers"]),
    "complex": (_with("b_y", np.array([1j, 2])), ["b_y is complex128; expected numbers"]),
    "NaN": (_with("b_y", np.array([1, np.nan])), ["b_y holds NaN or infinity; expected finite"]),
    "infinity": (_with("b_y", np.array([1, np.inf])), ["b_y holds NaN or infinity"]),
    "other shape": (
        _with("b_y", np.zeros(3)),
        ["the weights of another net", "b_y has shape (3,); expected (2,)"],
    ),
    "one missing": (_with("b_y", None), ["the weights of another net", "missing: b_y"]),
    "one more": (_with("W", np.zeros(3)), ["the weights of another net", "not expected: W"]),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_wrong_weights_are_refused_before_anything_runs(tmp_path: Path, name: str) -> None:
    make, words = WRONG_WEIGHTS[name]
    path = make(tmp_path)
    code, output = asked(tmp_path / "reports", *TINY, "--vocab=5", f"--weights={path}")
    assert code == 2, output
    assert "Traceback" not in output
    for word in (str(path), "custom cannot be made at base+", *words):
        assert word in output, output
    assert not (tmp_path / "reports").exists()


def test_an_error_in_a_given_file_names_the_workload_file_too(tmp_path: Path) -> None:
    saved(tmp_path, numbers())
    text(tmp_path, "a 1 2 3\nb 1 2\n")
    for line, words in (
        ('weights = "net.npz"', "net.npz holds the weights of another net"),
        ('embedding = "vectors.txt"', "vectors.txt, line 2: expected a word and 3 numbers"),
    ):
        file = tmp_path / "my-net.toml"
        file.write_text(f'[[workload]]\nname = "my-net"\n{line}\n')
        code, output = rnnbench("workload", file)
        assert code == 2, output
        assert f"{file}, workload 1 ('my-net'): custom cannot be made at " in output
        assert words in output


CONTRADICTIONS = {
    "--vocab=3": ["--vocab is 3; expected 2, as the given embedding has it"],
    "--input=4": ["--input is 4; expected 3, as the given embedding has it"],
    "--weights=net.npz": ["--weights holds the embedding, too; expected no --embedding"],
    "--task=sentiment": ["sentiment has its own; expected no --embedding", "custom"],
    "--task=hihello": ["hihello has its own; expected no --embedding", "custom"],
    "--task=sin_sequence": ["sin_sequence has its own; expected no --embedding", "custom"],
}


@pytest.mark.parametrize("option", CONTRADICTIONS)
def test_what_contradicts_an_embedding_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, numbers())
    words = (f"--embedding={text(tmp_path, GLOVE)}", "--backend=numpy", option)
    task = () if option.startswith("--task") else ("--task=custom",)
    code, output = asked(tmp_path / "reports", *task, *words)
    assert code == 2, output
    for word in CONTRADICTIONS[option]:
        assert word in output, output
    assert not (tmp_path / "reports").exists()


def made(folder: Path, lines: str) -> Workload:
    """The one workload of a file, which lies in `folder`."""
    file = text(folder, f'[[workload]]\nname = "my-net"\nphase = "bptt"\n{lines}', "my-net.toml")
    (named,) = workload_file.read(file).workloads
    (workload,) = grid.workloads(options.request(named, {}))
    return workload


def test_given_weights_are_all_that_a_workload_starts_from(tmp_path: Path) -> None:
    params = numbers()
    saved(tmp_path, {name: array.astype(np.float32) for name, array in params.items()})
    net = 'cell = "gru"\ninput = 3\nhidden = 4\nvocab = 5\nclasses = 2\n'
    workload = made(tmp_path, f'{net}weights = "net.npz"\n')
    for seed in (0, 1):
        found = given_params.initial(workload, seed)
        assert set(found) == set(params)
        for name, array in params.items():
            assert found[name].dtype == np.float64
            np.testing.assert_array_equal(found[name], array.astype(np.float32))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_given_embedding_is_the_table_and_everything_else_is_random(
    tmp_path: Path, frozen: bool
) -> None:
    text(tmp_path, GLOVE)
    more = "frozen-embedding = true\n" if frozen else ""
    workload = made(tmp_path, f'hidden = 4\nembedding = "vectors.txt"\n{more}')
    assert (workload.spec.vocab_size, workload.spec.input_size) == (2, 3)
    assert ("E" in workload.spec.trainable()) is not frozen
    found, random = given_params.initial(workload, 3), init_params(workload.spec, 3)
    np.testing.assert_array_equal(found.pop("E"), TABLE)
    assert not np.array_equal(random.pop("E"), TABLE)
    for name, array in random.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_path_is_no_part_of_a_workload_but_its_content_is(tmp_path: Path) -> None:
    for name, content in (("a", GLOVE), ("b", GLOVE), ("c", GLOVE.replace("2.0", "2.5"))):
        (tmp_path / name).mkdir()
        text(tmp_path / name, content)
    one, same, other = (
        made(tmp_path / name, 'hidden = 4\nembedding = "vectors.txt"\n') for name in "abc"
    )
    assert one == same
    assert one != other
    assert one.label == "my-net"
    words = ("--dry-run", *TINY, "--phase=bptt")
    ids = []
    for name in "abc":
        vectors = tmp_path / name / "vectors.txt"
        code, output = asked(tmp_path / "reports", *words, f"--embedding={vectors}")
        assert code == 0, output
        ids += [line for line in output.splitlines() if line.endswith(": numpy")]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    digest = hashlib.sha256(GLOVE.encode()).hexdigest()[:8]
    assert f"+embedding-{digest}-cpu-float32]" in ids[0]


@pytest.mark.slow
def test_what_is_given_agrees_and_is_trained(tmp_path: Path) -> None:
    saved(tmp_path, numbers())
    text(tmp_path, GLOVE)
    net = 'cell = "gru"\nhidden = 4\nclasses = 2\nbatch = 2\nsteps = 3\n'
    table = f'{net}embedding = "vectors.txt"\n'
    own = {
        "trained": f'{table}phase = ["bptt", "train_step"]\n',
        "weights": f'{net}input = 3\nvocab = 5\nweights = "net.npz"\n',
        "frozen": f"{table}frozen-embedding = true\n",
    }
    content = "".join(f'[[workload]]\nname = "{name}"\n{lines}' for name, lines in own.items())
    file = text(tmp_path, f'phase = "bptt"\n{content}', "my-net.toml")
    checked = ("--benchmark-disable", "--serial", "--backend=numpy", str(file))
    code, output = asked(tmp_path / "reports", *checked)
    assert code == 0, output
    assert "4 passed" in output
    assert not (tmp_path / "reports").exists()


@pytest.mark.slow
def test_a_record_has_the_name_and_the_hash_of_a_file_and_never_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "very-private"
    folder.mkdir()
    weights, vectors = saved(folder, numbers()), text(folder, GLOVE)
    file = folder / "my-net.toml"
    net = 'cell = "gru"\nhidden = 4\nclasses = 2\nbatch = 2\nsteps = 3\n'
    file.write_text(
        f'phase = "forward"\n[[workload]]\nname = "own-weights"\n{net}input = 3\nvocab = 5\n'
        f'weights = "net.npz"\n[[workload]]\nname = "own-table"\n{net}embedding = "vectors.txt"\n'
    )
    run = ("--backend=numpy", "--serial", "--benchmark-max-time=0.01", "--run-name=run")
    code, output = asked(tmp_path / "reports", *run, str(file))
    assert code == 0, output
    _, found, _ = store.read(tmp_path / "reports" / "run" / store.FILE)
    given = [m.workload.weights or m.workload.embedding for m in found]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (weights, vectors)]
    assert [(each.name, each.sha256) for each in given if each is not None] == [
        ("net.npz", digests[0]),
        ("vectors.txt", digests[1]),
    ]
    assert all(isinstance(m, schema.Measurement) and m.status == "ok" for m in found)
    for written in (tmp_path / "reports").rglob("*"):
        if written.is_file():
            assert b"very-private" not in written.read_bytes(), written.name


def test_a_word_may_be_white_space_other_than_a_space(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("\u00a0 1 2\n\u3000 3 4\n\u2028 5 6\n", encoding="utf-8")
    file, shape = given_params.read_embedding(path)
    assert shape == (3, 2)
    np.testing.assert_array_equal(given_params._TABLES[file.sha256]["E"], [[1, 2], [3, 4], [5, 6]])


def test_weights_are_no_embedding_although_they_were_read(tmp_path: Path) -> None:
    path = tmp_path / "both.npz"
    np.savez(path, E=np.ones((2, 2)))
    given_params.read_weights(path)
    with pytest.raises(ValueError, match=r"both\.npz"):
        given_params.read_embedding(path)


def test_numbers_beyond_float32_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "huge.npz", E=np.full((2, 2), 1e39))
    (tmp_path / "huge.txt").write_text("a 1e39 1\n")
    for read, name in (
        (given_params.read_weights, "huge.npz"),
        (given_params.read_embedding, "huge.txt"),
    ):
        with pytest.raises(ValueError, match="beyond float32"):
            read(tmp_path / name)
