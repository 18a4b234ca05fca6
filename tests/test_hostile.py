"""Files from strangers: answered by a model that predicts numbers or by one line, in a second and 200 MB."""

import gzip
import io
import json
import re
import time
import tracemalloc

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import two_lines
from moestro import DataError, LocatedMoERegressor, MixingMeasure, MoEClassifier, MoERegressor, load_model
from moestro.cli import main
from moestro.design.files import read_frame
from moestro.errors import FileError
from moestro.located import LocatedMeasure
from moestro.penalties import L1
from moestro.reading import CONTAINERS, DEPTH, KEYS, SIZE, VALUES, parse_json
from mutations import mutated

SECOND, MEMORY = 1.0, 200e6


def classes(n=40):
    x, _ = two_lines(n)
    return x, np.array(["no", "yes", "perhaps"])[np.arange(n) % 3]


def several(n=60):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 2))
    return x, x @ [[1.0, 0.5], [0.2, -1.0]] + 0.3 * rng.standard_normal((n, 2))


def by_formula(n=60):
    rng = np.random.default_rng(0)
    frame = {"a": rng.uniform(1, 2, n), "g": np.array(["u", "v", "w"])[np.arange(n) % 3].astype(object)}
    return MoERegressor.from_formula(
        "log(y) ~ bs(a, df=4) + g | a",
        frame | {"y": rng.uniform(1, 2, n)},
        n_experts=2,
        n_starts=2,
        random_state=0,
    ), frame


MODELS = {
    "gaussian": lambda: (
        MoERegressor(2, n_starts=2, random_state=np.random.RandomState(0), gate_transform="tanh")
        .fit(*two_lines(60)), two_lines(60)[0]),
    "classes": lambda: (MoEClassifier(n_experts="dendrogram", max_experts=2, n_starts=2, random_state=0)
                        .fit(*classes()), classes()[0]),
    "ddse": lambda: (MoERegressor("ddse", max_experts=5, n_starts=1, random_state=0)
                     .fit(*two_lines(60)), two_lines(60)[0]),
    "penalised": lambda: (MoERegressor(2, penalty=L1(0.05), n_starts=1)
                          .fit(*two_lines(60)), two_lines(60)[0]),
    "formula": by_formula,
    "located": lambda: (LocatedMoERegressor(2, n_starts=1, random_state=0, student=True)
                        .fit(*several()), several()[0]),
    "blocks": lambda: (LocatedMoERegressor("dendrogram", max_experts=2, n_starts=1, random_state=0,
                                           covariance="blocks", blocks=[[0], [1]])
                       .fit(*several()), several()[0]),
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A sound file of each kind as data, and rows to predict."""
    pytest.importorskip("formulaic")
    folder = tmp_path_factory.mktemp("kept")
    out = {}
    for name, make in MODELS.items():
        moe, x = make()
        moe.save(folder / f"{name}.json")
        out[name] = (json.loads((folder / f"{name}.json").read_text()), x)
    return out


def refusal(call):
    """The one line of a DataError, or None."""
    try:
        call()
    except DataError as error:
        text = str(error)
    else:
        return None
    assert "\n" not in text
    assert len(text) < 1200
    return text


def answered(path, x, limit=SECOND):
    """Load and use a file: None, or the line that refuses it."""
    start = time.process_time()
    line = refusal(lambda: use(path, x))
    assert time.process_time() - start < limit
    return line


def use(path, x):
    """Whatever is read predicts numbers and can be printed."""
    moe = load_model(path)
    for found in (moe.predict(x), moe.gate_proba(x)):
        assert found.dtype.kind in "OUSbiu" or np.isfinite(found).all()
    np.testing.assert_allclose(moe.gate_proba(x).sum(axis=1), 1, atol=1e-9)
    for text in (moe.summary(), str(moe.tidy()), str(moe.glance()), str(moe.selection_), repr(moe)):
        assert isinstance(text, str)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(s, marks=pytest.mark.slow) for s in range(6, 100))]
)
def test_damaged_model_files(name, seed, kept, tmp_path):
    sound, x = kept[name]
    path = tmp_path / "m.json"
    for part in range(5):
        path.write_text(mutated(sound, 1000 * seed + part))
        answered(path, x)


@pytest.mark.parametrize("name", MODELS)
def test_a_sound_file_is_read(name, kept, tmp_path):
    sound, x = kept[name]
    (tmp_path / "m.json").write_text(json.dumps(sound))
    assert answered(tmp_path / "m.json", x) is None


def at(*path):
    def change(data, value):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


THETA, LOCATED = at("theta", 1), at("measure", "means", 0, 0)
CLAIMS = [
    ("gaussian", THETA, 1e308, "outside their bounds"),
    ("gaussian", THETA, -2e4, "outside their bounds"),
    ("gaussian", at("units", "y_scale"), 0.0, "scale of the response must be from"),
    ("gaussian", at("units", "y_scale"), -1.0, "scale of the response must be from"),
    ("gaussian", at("units", "y_center"), None, "must be finite"),
    ("gaussian", at("units", "x", "inv_scale", 0), -1.0, "reciprocal scales"),
    ("gaussian", at("units", "x", "inv_scale", 0), 0.0, "should be equal or zero"),
    ("gaussian", at("design", "width"), 10**9, "makes 1 columns"),
    ("gaussian", at("model", "k"), 10**9, "number of experts must be"),
    ("gaussian", at("model", "k"), 10**6, "parameters must be finite numbers"),
    ("gaussian", at("model", "k"), 2.0, "whole number"),
    ("gaussian", at("model", "gate"), "magic", "unknown gate"),
    ("gaussian", at("model", "shared_variance"), 1, "true or false"),
    ("gaussian", at("model", "shared_variance"), True, "should be equal"),
    ("gaussian", at("fit", "n_parameters"), 10**6, "free parameters must be"),
    ("gaussian", at("fit", "mass", 0), -1.0, "masses must be from 0"),
    ("gaussian", at("fit", "weight_sum"), -40.0, "weight_sum must be from"),
    ("gaussian", at("fit", "status", "experts"), [5], "expert must be a whole number from 0 to 1"),
    ("gaussian", at("fit", "evidence", "chance_of_better"), 2.0, "from 0 to 1"),
    ("gaussian", at("fit", "starts", "rows", 0), {}, "cell"),
    ("gaussian", at("format"), "moestro.model/3", "upgrade moestro"),
    ("gaussian", at("format"), "moestro.model/x", "not a moestro model"),
    ("gaussian", at("estimator", "class"), "MoEClassifier", "does not fit"),
    ("gaussian", at("estimator", "class"), "LocatedMoERegressor", "does not fit"),
    ("gaussian", at("estimator", "attributes", "n_features_in_"), 7, "number of features"),
    ("gaussian", at("estimator", "attributes", "feature_names_in_"), ["b"], "features are not"),
    ("gaussian", at("estimator", "parameters", "formula"), "y ~ x", "formula is not that of its design"),
    ("gaussian", at("estimator", "parameters", "n_jobs"), 10**6, "n_jobs"),
    ("gaussian", at("estimator", "found", "selection"), None, "selection is of the wrong kind"),
    ("classes", at("units", "classes"), ["no", "no", "yes"], "differ"),
    ("classes", at("units", "classes", 0), [1], "list of numbers or texts"),
    ("classes", at("units", "classes"), ["no"], "1 classes"),
    ("classes", at("estimator", "attributes", "classes_", "$array", 0), "never", "classes are not those"),
    ("formula", at("units", "response"), "y", "not that of its formula"),
    ("formula", at("design", "experts", "names", 0), "bs(b, df=4)[1]", "makes no column"),
    ("formula", at("design", "experts", "levels", "g"), [[1], [2], [3]], "neither numbers nor texts"),
    ("formula", at("estimator", "attributes", "feature_names_in_", "$array", 0), "z", "features are not"),
    ("located", at("format"), "moestro.located-model/3", "upgrade moestro"),
    ("located", at("measure", "format"), "moestro.located/9", "upgrade moestro"),
    ("located", at("measure", "degree"), 10**9, "degree must be"),
    ("located", at("measure", "d"), 10**9, "damaged|must be a whole"),
    ("located", at("specification", "student"), 1, "true or false"),
    ("located", at("single"), "no", "true or false"),
    ("located", LOCATED, 1e308, "no finite"),
    ("ddse", at("estimator", "found", "slope", "fields", "models"), {}, "without the columns"),
    ("blocks", at("estimator", "found", "dendrogram", "fields", "k"), 9, "experts of a dendrogram"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "value", "match"), CLAIMS)
def test_what_a_file_claims(name, change, value, match, kept, tmp_path):
    data = json.loads(json.dumps(kept[name][0]))
    change(data, value)
    (tmp_path / "m.json").write_text(json.dumps(data))
    line = answered(tmp_path / "m.json", kept[name][1])
    assert line is not None
    assert re.search(match, line), line


def test_a_random_state_from_a_file_stays_within_its_words(kept, tmp_path):
    """NumPy believes the place that a state names: beyond the last word it would read other memory."""
    data = json.loads(json.dumps(kept["gaussian"][0]))
    state = data["estimator"]["parameters"]["random_state"]["$random_state"]["$tuple"]
    assert state[0] == "MT19937"
    for place in (625, 10**6, -1, 2**40):
        state[2] = place
        (tmp_path / "m.json").write_text(json.dumps(data))
        with pytest.raises(FileError, match="random state must be a whole number from 0 to 624"):
            load_model(tmp_path / "m.json")


BOMBS = {
    "too large": b"[" + b" " * SIZE + b"]",
    "too large in wide characters": b'["' + "\U0001f600".encode() * (SIZE // 12) + b'"]',
    "too many numbers": b"[" + b"1," * (VALUES + 1) + b"1]",
    "too many lists": b"[" + b"[]," * CONTAINERS + b"[]]",
    "as many numbers as allowed": b"[" + b"1.5e3," * VALUES + b"1]",
    "as many lists as allowed": b"[" + b"[]," * (CONTAINERS - 2) + b"[]]",
    "as many texts as allowed": b"[" + b'"abcdefgh",' * VALUES + b"1]",
    "as many keys as allowed": b"{" + b",".join(b'"%d":%d' % (i, i) for i in range(KEYS)) + b"}",
    "dictionaries": b"[" + b'{"a":{}},' * (CONTAINERS // 2 - 1) + b"1]",
    "wide text as long as allowed": b'["' + "\U0001f600".encode() * (SIZE // 17) + b'"]',
    "deep": b"[" * 200_000,
    "deep and whole": b"[" * (DEPTH + 3) + b"]" * (DEPTH + 3),
    "deep dictionaries": b'{"a":' * 100_000,
    "a long number": b"[" + b"9" * 4_000 + b"]",
    "a longer number": b"[" + b"9" * 1_000_000 + b"]",
    "long numbers": b"[" + (b"9" * 4_000 + b",") * 7_000 + b"1]",
    "infinity": b"[1e999]",
    "NaN": b"[NaN]",
    "no Unicode": b'["\\ud800"]',
    "no UTF-8": b'["\xff"]',
    "zeros": b"\x00" * 1000,
    "nothing": b"",
    "a list": b"[1]",
    "text": b'"moestro.model/2"',
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name, tmp_path):
    """Time on a clock of the process, memory as Python's allocator counts it."""
    path = tmp_path / "m.json"
    path.write_bytes(BOMBS[name])
    start = time.process_time()
    with pytest.raises(FileError, match=r"m\.json: ") as caught:
        load_model(path)
    assert time.process_time() - start < SECOND
    assert len(str(caught.value)) < 1200
    tracemalloc.start()
    try:
        with pytest.raises(FileError):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_no_file_is_written_that_could_not_be_read(tmp_path, monkeypatch):
    model = MoERegressor(2, n_starts=2, random_state=0).fit(*two_lines(60))
    monkeypatch.setattr("moestro.reading.VALUES", 20)
    with pytest.raises(
        FileError, match=r"m\.json: .* holds more than 20 values .* save it without covariances"
    ):
        model.save(tmp_path / "m.json")
    assert not list(tmp_path.iterdir())


def test_a_device_is_not_read_for_ever():
    start = time.process_time()
    with pytest.raises(FileError, match="larger than"):
        load_model("/dev/zero")
    assert time.process_time() - start < SECOND


@pytest.mark.parametrize("read", [MixingMeasure.from_json, LocatedMeasure.from_json, parse_json])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1e999]", "[" + "1," * (VALUES + 1) + "1]", '["\\ud800"]', "{"]
)
def test_text_of_a_measure_has_the_same_bounds(read, text):
    with pytest.raises(DataError):
        read(text)


@pytest.mark.parametrize("scale", [1e100, 1e155, 1e200, 1e300, 1e307])
@pytest.mark.parametrize("name", ["gaussian", "classes", "located"])
def test_rows_far_from_those_of_the_fit_are_predicted_or_refused(name, scale, kept, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(kept[name][0]))
    moe, x = load_model(tmp_path / "m.json"), kept[name][1][:4] * scale
    x[1:] = kept[name][1][1:4]
    for ask in (
        moe.predict,
        moe.gate_proba,
        lambda x: moe.predict_proba(x) if name == "classes" else moe.predict(x),
    ):
        line = refusal(lambda ask=ask: numbers(ask(x)))
        assert line is None or "in row 1:" in line


def numbers(found):
    assert found.dtype.kind != "f" or np.isfinite(found).all()


# Tables

TABLES = {
    "BOM": (b"\xef\xbb\xbfa,b\n1,2\n3,4\n", None),
    "BOM and quotes": (b'\xef\xbb\xbf"a","b"\n1,2\n3,4\n', None),
    "CRLF": (b"a,b\r\n1,2\r\n3,4\r\n", None),
    "CR": (b"a,b\r1,2\r3,4\r", None),
    "quotes": (b'"a","b"\n"1","2"\n3,4\n', None),
    "semicolons": (b"a;b\n1;2\n3;4\n", None),
    "semicolons and tabs": (b"a;b\tc\n1;2\t3\n", "seems to be separated by semicolons"),
    "an open quote in the head": (b'"a,b\n1,2\n3,4\n', "separated|cannot be read"),
    "an open quote": (b'a,b\n1,"2\n3,4\n', "cannot be read"),
    "a name twice": (b"a,b,a\n1,2,3\n", "two columns named 'a'"),
    "a name twice, spaced": (b"a, a\n1,2\n", "two columns named 'a'"),
    "NUL in a number": (b"a,b\n1,2\n3\x00,4\n5,6\n", "NUL character in line 3"),
    "NUL in a name": (b"a\x00,b\n1,2\n", "NUL character in line 1"),
    "zeros": (b"\x00" * 100, "NUL"),
    "more fields than names": (b"a,b\n1,2,3\n4,5,6\n", "rows have 3 fields"),
    "more fields in the first row": (b"a,b\n1,2,3\n4,5\n", "rows have 3 fields"),
    "more fields in a later row": (b"a,b\n1,2\n4,5,6\n", "cannot be read"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "cannot be read as UTF-8"),
    "Latin-1": ("é,b\n1,2\n".encode("latin-1"), "cannot be read as UTF-8"),
    "surrogates": (b"a,b\n\xed\xa0\x80,2\n3,4\n", "cannot be read as UTF-8"),
    "a head alone": (b"a,b\n", "has no rows"),
    "nothing": (b"", "is empty"),
    "empty lines": (b"\n\n\n", "cannot be read"),
    "a wide head": ((",".join(f"x{i}" for i in range(100_000)) + "\n1\n").encode(), "names 100000 columns"),
    "gzip by another name": (gzip.compress(b"a,b\n1,2\n"), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_text(name, packed, tmp_path):
    pytest.importorskip("pandas")
    raw, refused = TABLES[name]
    if packed and not raw:
        pytest.skip("an empty file has no packed form of no bytes")
    path = tmp_path / ("data.csv.gz" if packed else "data.csv")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    start = time.process_time()
    if refused is None:
        frame = read_frame(path)
        assert [*frame.columns] == ["a", "b"]
        np.testing.assert_array_equal(frame.to_numpy(dtype=float), [[1, 2], [3, 4]])
    else:
        with pytest.raises(FileError, match=rf"data\.csv.*({refused})") as caught:
            read_frame(path)
        assert "\n" not in str(caught.value)
    assert time.process_time() - start < SECOND


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_text_in_blocks(name, tmp_path):
    """pyarrow reads another way: what it takes is what is read whole, or is refused by its column or row."""
    dataset = pytest.importorskip("pyarrow.dataset") and pytest.importorskip("moestro.rows.sources.dataset")
    raw, refused = TABLES[name]
    path = tmp_path / "data.csv"
    path.write_bytes(raw)
    start = time.process_time()

    def read():
        blocks = [b for b, *_ in dataset.Files.at(str(path)).batches(["a", "b"], 2)]
        return {c: np.concatenate([np.asarray(b[c]) for b in blocks]) for c in "ab"}

    line = refusal(read)
    assert line is None or "data.csv" in line
    if refused is None:
        np.testing.assert_array_equal(np.column_stack([*read().values()]), [[1, 2], [3, 4]])
    elif line is None:  # text, which is refused where numbers are asked for
        assert "O" in {column.dtype.kind for column in read().values()}
    assert time.process_time() - start < SECOND


@pytest.mark.parametrize("ending", [".arrow", ".feather"])
def test_arrow_is_read_whole_too(ending, tmp_path):
    pa, feather = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.feather")
    path = tmp_path / f"data{ending}"
    feather.write_feather(pa.table({"a": [1.0, 3.0], "b": [2.0, 4.0]}), path)
    assert read_frame(path).to_pydict() == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    for raw in (path.read_bytes()[:200], b"a,b\n1,2\n"):
        path.write_bytes(raw)
        with pytest.raises(FileError, match=r"data\.\w+: cannot be read"):
            read_frame(path)


@pytest.mark.parametrize("cut", [0, 1, 10, 20, 30])
def test_a_packed_table_that_ends_early(cut, tmp_path):
    pytest.importorskip("pandas")
    whole = gzip.compress(b"a,b\n1,2\n3,4\n" * 1000)
    (tmp_path / "d.csv.gz").write_bytes(whole[:cut])
    with pytest.raises(FileError, match=r"d\.csv\.gz"):
        read_frame(tmp_path / "d.csv.gz")


def parquet(columns):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_parquet_that_ends_early(share, tmp_path):
    raw = parquet({"a": [1.0, 2.0], "b": [3, 4]})
    (tmp_path / "d.parquet").write_bytes(raw[: int(share * len(raw))])
    with pytest.raises(FileError, match=r"d\.parquet: cannot be read") as caught:
        read_frame(tmp_path / "d.parquet")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(30))
def test_damaged_parquet(seed, tmp_path):
    rng = np.random.default_rng(seed)
    raw = bytearray(parquet({"a": np.arange(50.0), "b": [str(i) for i in range(50)]}))
    for _ in range(rng.integers(1, 20)):
        raw[rng.integers(len(raw))] = rng.integers(256)
    (tmp_path / "d.parquet").write_bytes(raw)
    refusal(lambda: read_frame(tmp_path / "d.parquet"))


@pytest.mark.parametrize("column", [[[1], [2]], [{"x": 1}, {"x": 2}], [b"x", b"y"], [None, None]])
def test_parquet_of_wrong_types(column, tmp_path):
    pytest.importorskip("formulaic")
    (tmp_path / "d.parquet").write_bytes(parquet({"a": column * 10, "y": np.arange(20.0)}))
    done = CliRunner().invoke(main, ["fit", str(tmp_path / "d.parquet"), "-f", "y ~ a", "-k", "1"])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
