"""The bad-input catalogue of datasets: files and specs, and what has to be answered.

Numbers are the catalogue's rows. Owns the bytes; knows nothing of how they are sent.
"""

import codecs
import io
import json
import re
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption

CSV, TSV = "text/csv", "text/tab-separated-values"
JSONL, JSON, PARQUET = "application/x-ndjson", "application/json", "application/vnd.apache.parquet"

Content = Callable[[], bytes]
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Refused:
    """Answered at once."""

    status: int
    code: str
    path: str = "/files"


@dataclass(frozen=True)
class Rejected:
    """Answered 202, then rejected; `says` are patterns for one finding's column and prose."""

    code: str
    line: int | None = None
    column: str | None = None
    says: Sequence[str] = ()


@dataclass(frozen=True)
class Ready:
    """Answered 202, then ready; with a warning where one is named."""

    warning: str | None = None


@dataclass(frozen=True)
class Judged:
    """What the service made of a dataset; `texts` are those of its ready rows."""

    dataset: dict[str, Any]
    report: dict[str, Any]
    texts: list[str]


@dataclass(frozen=True)
class Case:
    """One input; several contents are one file per split."""

    row: int
    name: str
    content: Content | Mapping[str, Content]
    expected: Refused | Rejected | Ready
    media_type: str = field(default=CSV, kw_only=True)
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    spec: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    check: Callable[[Judged], bool] | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return f"{self.row} {self.name}"


_VERBS = ("refund", "cancel", "delay", "repair", "return", "insure", "deliver", "renew")
_NOUNS = ("kettle", "order", "flight", "lamp", "jacket", "phone", "train", "hotel")
_OTHERS = ("garden", "ladder", "violin", "parcel")
_LINE = 20  # where the fault is put


def paired(texts: Iterable[str], labels: Sequence[str] = ("ham", "spam")) -> Pairs:
    """Return the texts under these labels, in turn."""
    return [(text, labels[i % len(labels)]) for i, text in enumerate(texts)]


TEXTS = [f"{verb} the {noun}" for verb in _VERBS for noun in _NOUNS]
PAIRS = paired(TEXTS)
_LATER = paired([f"{verb} my old {noun}" for verb in _VERBS[:4] for noun in _OTHERS])


def csv(
    pairs: Pairs = PAIRS, *, header: str = "text,label", delimiter: str = ",", newline: str = "\n"
) -> bytes:
    """Return pairs as CSV."""

    def cell(value: str) -> str:
        quoted = any(sign in value for sign in f'"\r\n\t{delimiter}')
        return '"' + value.replace('"', '""') + '"' if quoted else value

    lines = [header.replace(",", delimiter), *(delimiter.join(map(cell, pair)) for pair in pairs)]
    return "".join(line + newline for line in lines).encode()


def jsonl(pairs: Pairs = PAIRS) -> bytes:
    """Return pairs as JSONL."""
    return "".join(
        json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs
    ).encode()


def parquet(text: Any = None, label: Any = None, **options: Any) -> bytes:
    """Return columns as Parquet; the good ones where none are given."""
    text = pa.array([text for text, _ in PAIRS]) if text is None else text
    label = pa.array([label for _, label in PAIRS]) if label is None else label
    return _written(pa.table({"text": text, "label": label}), **options)


def bomb(cell: str, rows: int) -> bytes:
    """Return a small Parquet file that decodes to `rows` equal cells."""
    indices = pa.nulls(rows, pa.int32()).fill_null(0)
    text = pa.DictionaryArray.from_arrays(indices, pa.array([cell]))
    label = pa.array(["ham", "spam"] * (rows // 2)).dictionary_encode()
    return parquet(text, label)


def _written(table: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd", **options)
    return target.getvalue()


def _csv_with(line: bytes, *more: bytes) -> Content:
    return lambda: _put(csv(), line, *more)


def _jsonl_with(line: bytes, *more: bytes) -> Content:
    return lambda: _put(jsonl(), line, *more)


def _put(content: bytes, *faults: bytes) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join([*lines[: _LINE - 1], *faults, *lines[_LINE - 1 :]])


def _worded(template: str, verbs: Sequence[str], nouns: Sequence[str]) -> bytes:
    return csv(paired([template.format(verb, noun) for verb in verbs for noun in nouns]))


def _chinese() -> bytes:
    verbs = ("退款", "取消", "更换", "修理", "退回", "查询", "配送", "续订")
    nouns = ("水壶", "订单", "航班", "台灯", "外套", "手机", "火车票", "酒店")
    return _worded("我想{}我的{}，谢谢", verbs, nouns)


def _japanese() -> bytes:
    verbs = ("返金して", "取り消して", "交換して", "直して", "戻して", "調べて", "届けて", "借りて")
    nouns = ("やかん", "ちゅうもん", "ひこうき", "ランプ", "ふく", "でんわ", "きっぷ", "ホテル")
    return _worded("わたしの{1}を{0}ください", verbs, nouns)


def _french() -> bytes:
    verbs = ("réparer", "égarer", "créer", "céder", "répéter", "gérer", "préparer", "récupérer")
    nouns = ("théière", "clé", "carte bleue", "lampe", "manteau", "téléphone", "billet", "hôtel")
    return _worded("où {} été {}", verbs, nouns)


def _labelled(*labels: str) -> Content:
    return lambda: csv(paired(TEXTS, labels))


def _added(*pairs: tuple[str, str]) -> Content:
    return lambda: csv([*PAIRS, *pairs])


def _wide(columns: int, delimiter: str) -> bytes:
    return delimiter.join(f"c{i}" for i in range(columns)).encode()


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _with_footer(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    size = int.from_bytes(content[-8:-4], "little")
    footer = change(content[-8 - size : -8])
    return content[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _claiming_2_to_the_40_rows() -> bytes:
    rows = 12_346
    content = parquet(pa.array([f"text {i}" for i in range(rows)]), pa.array(["a", "b"] * 6_173))
    # A Thrift integer is a zigzag varint, and nothing around it says how long it is.
    true, claimed = _varint(rows << 1), _varint(1 << 41)
    return _with_footer(content, lambda footer: footer.replace(b"\x16" + true, b"\x16" + claimed))


def _thrift_bomb() -> bytes:
    """Return a footer whose schema is a list of 2**31 - 1 structs, of which none follows."""
    return _with_footer(parquet(), lambda _: b"\x15\x02\x19\xfc" + _varint(2**31 - 1))


class _KeptKeys(encryption.KmsClient):
    """Wraps a key by writing it down, which is enough for a file that nobody opens."""

    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return codecs.encode(key_bytes, "hex")


def _encrypted(*, plaintext_footer: bool) -> bytes:
    factory = encryption.CryptoFactory(lambda _: _KeptKeys())
    configuration = encryption.EncryptionConfiguration(
        footer_key="footer",
        column_keys={"columns": ["text", "label"]},
        plaintext_footer=plaintext_footer,
    )
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), configuration)
    return parquet(encryption_properties=properties)


def _extended() -> bytes:
    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": b"\x80\x04c__builtin__\nstr\n.",
    }
    names = [pa.field("text", pa.string(), metadata=metadata), pa.field("label", pa.string())]
    texts, labels = zip(*PAIRS, strict=True)
    return _written(pa.table([texts, labels], schema=pa.schema(names)))


def _arrow() -> bytes:
    target = io.BytesIO()
    table = pa.table({"text": TEXTS})
    with pa.ipc.new_file(target, table.schema) as writer:
        writer.write_table(table)
    return target.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE rows (text TEXT, label TEXT)")
        return database.serialize()


def _zip(name: str, content: bytes) -> Content:
    def zipped() -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return target.getvalue()

    return zipped


def _tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo("../../rows.csv")
        info.size = len(csv())
        archive.addfile(info, io.BytesIO(csv()))
    return target.getvalue()


def _compressed(codec: str) -> Content:
    return lambda: pa.Codec(codec).compress(csv()).to_pybytes()


def _mixed_newlines() -> bytes:
    lines = csv().split(b"\n")[:-1]
    return b"".join(line + (b"\n", b"\r\n", b"\r")[i % 3] for i, line in enumerate(lines))


def _mixed_labels() -> bytes:
    literals = ("1", '"1"', "1.0", "true")
    lines = (f'{{"text": "{text}", "label": {literals[i % 4]}}}' for i, text in enumerate(TEXTS))
    return "\n".join(lines).encode()


def _names(judged: Judged) -> list[str]:
    return [judged.dataset["columns"]["text"], judged.dataset["columns"]["label"]]


def _counts_of(label: str, judged: Judged) -> dict[str, int]:
    counts = judged.report["labels"]["counts"]
    return {split: rows[label] for split, rows in counts.items() if label in rows}


def _mentions(number: int, found: Any) -> bool:
    if isinstance(found, dict | list):
        parts = found.values() if isinstance(found, dict) else found
        return any(_mentions(number, part) for part in parts)
    return found == number or (isinstance(found, str) and str(number) in found.split())


def _lists_at_most_50(judged: Judged) -> bool:
    return all(
        len(re.findall(r"\bc\d+\b", found["message"])) <= 50 for found in judged.report["errors"]
    )


def _dialect(name: str, value: str) -> Callable[[Judged], bool]:
    return lambda judged: judged.report["dialect"][name] == value


def _encoding(*names: str) -> Callable[[Judged], bool]:
    return lambda judged: judged.report["encoding"].lower().replace("_", "-") in names


def _has_labels(*labels: str) -> Callable[[Judged], bool]:
    return lambda judged: set(judged.dataset["labels"]) == set(labels)


def _has_texts(*texts: str) -> Callable[[Judged], bool]:
    return lambda judged: set(texts) <= set(judged.texts)


_MARKUP = ("<script>alert(1)</script>", '"><img onerror>', "{{7*7}}", "__proto__")
_FORMULAS = ("=cmd|' /C calc'!A0", "+1", "@SUM", "\tx")
_LITERALS = ("NA", "NaN", "null", "None", "true")
_DEEP = b"[" * 100_000 + b"]" * 100_000
_NO_COLUMNS = {"columns": {"text": "body", "label": "class"}}
_DECLARED = {"policies": {"encoding": "gbk"}}
_GUESSED = {"policies": {"encoding": "auto"}}
_GB = ("gbk", "gb2312", "gb18030")
_NAMED_E = "d\N{LATIN SMALL LETTER E WITH ACUTE}tail"


def _columns(text: str) -> dict[str, Any]:
    return {"columns": {"text": text, "label": "label"}}


def _shares(train: float, validation: float, test: float) -> dict[str, Any]:
    return {"split": {"train": train, "validation": validation, "test": test}}


def _spec(row: int, name: str, code: str, spec: Mapping[str, Any]) -> Case:
    return Case(row, name, csv, Refused(422, code, "/datasets"), spec=spec)


def _json(row: int, name: str, fault: bytes, code: str, **more: Any) -> Case:
    return Case(row, name, _jsonl_with(fault), Rejected(code, line=_LINE, **more), media_type=JSONL)


def _parquet(row: int, name: str, content: Content, expected: Rejected | Ready) -> Case:
    return Case(row, name, content, expected, media_type=PARQUET)


CONTAINERS = [
    Case(57, "no bytes", lambda: b"", Refused(422, "empty-file")),
    Case(58, "header only", lambda: csv([]), Rejected("no-rows")),
    _parquet(58, "Parquet without rows", lambda: _written(pa.table({"text": pa.array(
        [], pa.string()), "label": pa.array([], pa.string())})), Rejected("no-rows")),
    Case(59, "BOM before CSV", lambda: codecs.BOM_UTF8 + csv(), Ready(),
         check=lambda judged: _names(judged) == ["text", "label"]),
    Case(59, "BOM before JSONL", lambda: codecs.BOM_UTF8 + jsonl(), Ready(), media_type=JSONL,
         check=lambda judged: _names(judged) == ["text", "label"]),
    Case(60, "a byte that is not UTF-8", _csv_with(b"broken \xff byte,ham"),
         Rejected("invalid-utf8", line=_LINE, says=[r"\b408\b"])),
    Case(61, "GBK", lambda: _chinese().decode().encode("gbk"),
         Rejected("invalid-utf8", says=["gb", "我想.+我的"])),
    Case(61, "Shift-JIS", lambda: _japanese().decode().encode("shift_jis"),
         Rejected("invalid-utf8", says=["jis|932", "わたしの.+ください"])),
    Case(61, "Latin-1", lambda: _french().decode().encode("latin-1"),
         Rejected("invalid-utf8", says=["1252|latin|8859", "où .+ été"])),
    Case(61, "GBK, declared", lambda: _chinese().decode().encode("gbk"), Ready(), spec=_DECLARED,
         check=lambda judged: _encoding(*_GB)(judged) and "我想" in judged.texts[0]),
    Case(61, "GBK, to be found out", lambda: _chinese().decode().encode("gbk"), Ready(),
         spec=_GUESSED, check=lambda judged: _encoding(*_GB)(judged) and "我想" in judged.texts[0]),
    Case(62, "UTF-16 LE with BOM", lambda: codecs.BOM_UTF16_LE + csv().decode().encode("utf-16-le"),
         Ready(), check=_has_texts("refund the kettle")),
    Case(62, "UTF-16 BE with BOM", lambda: codecs.BOM_UTF16_BE + csv().decode().encode("utf-16-be"),
         Ready(), check=_has_texts("refund the kettle")),
    Case(62, "UTF-16 without BOM", lambda: csv().decode().encode("utf-16-le"),
         Rejected("invalid-utf8", says=["utf-16"])),
    Case(63, "NUL in a cell", _csv_with(b"no\0thing,ham"),
         Rejected("nul-byte", line=_LINE, column="text")),
    _json(63, "NUL in a JSON string", b'{"text": "no\\u0000thing", "label": "ham"}', "nul-byte",
          column="text"),
    Case(64, "a column name twice",
         lambda: b"text,text,label\n" + b"".join(b"a %d,b,ham\n" % i for i in range(64)),
         Rejected("duplicate-column")),
    _parquet(64, "a Parquet column name twice", lambda: _written(pa.table(
        [TEXTS, TEXTS, [label for _, label in PAIRS]], names=["text", "text", "label"])),
        Rejected("duplicate-column")),
    Case(65, "neither column among 200",
         lambda: _wide(200, ",") + b"\n" + b"x," * 199 + b"x\n",
         Rejected("missing-column", says=["c0.+c9"]), spec=_NO_COLUMNS, check=_lists_at_most_50),
    Case(65, "no label column, and none named", lambda: csv().replace(b",ham", b"").replace(
        b",spam", b"").replace(b",label", b""), Rejected("missing-column")),
    Case(65, "a Parquet column missing", parquet, Rejected("missing-column", says=["'?body"]),
         media_type=PARQUET, spec=_NO_COLUMNS),
    Case(66, "Text for text", csv, Rejected("missing-column", says=["did you mean.+text"]),
         spec=_columns("Text")),
    Case(66, "text for TEXT", lambda: csv(header="TEXT,label"),
         Rejected("missing-column", says=["did you mean.+TEXT"]), spec=_columns("text")),
    Case(66, "composed for decomposed", lambda: csv(header="de\u0301tail,label"),
         Rejected("missing-column", says=["did you mean"]), spec=_columns(_NAMED_E)),
    Case(67, "semicolons", lambda: csv(delimiter=";"), Ready(), check=_dialect("delimiter", ";")),
    Case(67, "tabs", lambda: csv(delimiter="\t"), Ready(), check=_dialect("delimiter", "\t")),
    Case(67, "bars", lambda: csv(delimiter="|"), Ready(), check=_dialect("delimiter", "|")),
    Case(67, "TSV", lambda: csv(delimiter="\t"), Ready(), media_type=TSV,
         check=_dialect("delimiter", "\t")),
    Case(68, "a quote that is not closed", _csv_with(b'"never closed,ham'),
         Rejected("unbalanced-quote", line=_LINE)),
    Case(69, "a row with too few cells", _csv_with(b"alone"),
         Rejected("ragged-row", line=_LINE, says=[r"\b1\b", r"\b2\b"])),
    Case(69, "a row with too many cells", _csv_with(b"one,two,ham"),
         Rejected("ragged-row", line=_LINE, says=[r"\b3\b", r"\b2\b"])),
    Case(70, "newlines inside quotes",
         _added(("two\nlines", "ham"), ("three\r\n\r\nlines", "ham"), ("the\rlast one", "ham")),
         Ready(), check=_has_texts("two\nlines", "three\r\n\r\nlines", "the\rlast one")),
    Case(71, "CR only", lambda: csv(newline="\r"), Ready(), check=_dialect("newline", "cr")),
    Case(71, "mixed newlines", _mixed_newlines, Ready(), check=_dialect("newline", "mixed")),
    Case(72, "a cell of 10 MB", lambda: _put(csv(), b"x" * 10_000_000 + b",ham"),
         Rejected("cell-too-large", line=_LINE, column="text",
                  says=[r"(at most|limit|up to)\D{0,20}\d"])),
    Case(72, "a JSON string of 10 MB",
         lambda: _put(jsonl(), b'{"label": "ham", "text": "%b"}' % (b"x" * 10_000_000)),
         Rejected("cell-too-large", line=_LINE, column="text"), media_type=JSONL),
    Case(73, "32 MB without a newline", lambda: b"x" * (32 << 20),
         Rejected("line-too-large", line=1)),
    Case(73, "32 MB of JSON without a newline", lambda: b'{"text": "' + b"x" * (32 << 20),
         Rejected("line-too-large", line=1), media_type=JSONL),
    Case(74, "100,000 columns",
         lambda: _wide(100_000, ",") + b"\n" + b"x," * 99_999 + b"x\n",
         Rejected("too-many-columns")),
    Case(74, "100,000 keys", lambda: b'{"' + _wide(100_000, '": 1, "') + b'": 1}\n',
         Rejected("too-many-columns"), media_type=JSONL),
    _json(75, "a line that is not JSON", b'{"text": "broken", "label": ham}',
          "malformed-json-line"),
    _json(76, "a line that is an array", b'["text", "ham"]', "not-an-object"),
    _json(76, "a line that is a number", b"7", "not-an-object"),
    Case(76, "one array of objects", lambda: json.dumps(
        [{"text": text, "label": label} for text, label in PAIRS], indent=1).encode(), Ready(),
        media_type=JSON),
    Case(76, "one array of objects as JSONL", lambda: json.dumps(
        [{"text": text, "label": label} for text, label in PAIRS]).encode(), Ready(),
        media_type=JSONL),
    _json(77, "a line without its label", b'{"text": "alone"}', "missing-field", column="label"),
    _json(77, "a line without its text", b'{"label": "ham"}', "missing-field", column="text"),
    _json(78, "a key twice", b'{"text": "one", "label": "ham", "text": "two"}', "duplicate-key"),
    _json(79, "half a surrogate pair", b'{"text": "\\ud800", "label": "ham"}', "invalid-unicode"),
    _json(80, "100,000 levels", b'{"text": "a", "label": "ham", "x": %b}' % _DEEP,
          "json-too-deep"),
    Case(81, "97 blank lines", _jsonl_with(*[b""] * 97), Ready(), media_type=JSONL,
         check=lambda judged: judged.report["rows"] == 64 and _mentions(97, judged.report)),
    _parquet(82, "Parquet cut off", lambda: parquet()[:-20], Rejected("unreadable-parquet")),
    _parquet(82, "Parquet that is only its signs", lambda: b"PAR1PAR1",
             Rejected("unreadable-parquet")),
    _parquet(82, "a footer of rubbish", lambda: _with_footer(parquet(), lambda _: b"\xa5" * 300),
             Rejected("unreadable-parquet")),
    _parquet(83, "texts that are lists", lambda: parquet(text=pa.array([[text] for text in TEXTS])),
             Rejected("unsupported-column-type", column="text", says=["list"])),
    _parquet(83, "labels that are structs",
             lambda: parquet(label=pa.array([{"name": label} for _, label in PAIRS])),
             Rejected("unsupported-column-type", column="label", says=["struct"])),
    _parquet(83, "texts that are maps", lambda: parquet(text=pa.array(
        [[(text, 1)] for text in TEXTS], pa.map_(pa.string(), pa.int64()))),
        Rejected("unsupported-column-type", column="text", says=["map"])),
    _parquet(84, "texts that are bytes",
             lambda: parquet(text=pa.array([text.encode() for text in TEXTS])),
             Rejected("unsupported-column-type", column="text", says=["binary"])),
    *(
        _parquet(84, f"{kind} columns", lambda kind=kind: parquet(
            pa.array([text for text, _ in PAIRS]).cast(kind),
            pa.array([label for _, label in PAIRS]).cast(kind)), Ready())
        for kind in (
            pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())
        )
    ),
    _parquet(85, "a bomb of few large cells", lambda: bomb("x" * 900_000, 5_600),
             Rejected("decoded-too-large")),
    _parquet(86, "a claim of 2^40 rows", _claiming_2_to_the_40_rows,
             Rejected("unreadable-parquet")),
    _parquet(86, "a Thrift bomb", _thrift_bomb, Rejected("unreadable-parquet")),
    _parquet(88, "an encrypted footer", lambda: _encrypted(plaintext_footer=False),
             Rejected("unreadable-parquet")),
    _parquet(88, "encrypted columns", lambda: _encrypted(plaintext_footer=True),
             Rejected("unreadable-parquet")),
    _parquet(88, "an extension type", _extended, Rejected("unreadable-parquet")),
    *(
        Case(89, f"pickle, protocol {protocol}",
             lambda protocol=protocol: bytes([0x80, protocol]) + b"]q\x00(X\x01\x00\x00\x00a." * 20,
             Refused(415, "unsupported-format"))
        for protocol in (2, 3, 4, 5)
    ),
    *(
        Case(89, name, content, Refused(415, "unsupported-format"))
        for name, content in (
            ("Arrow IPC", _arrow),
            ("Feather", lambda: b"FEA1" + bytes(100)),
            ("HDF5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(100)),
            ("xlsx", _zip("xl/workbook.xml", b"<workbook/>")),
            ("SQLite", _sqlite),
        )
    ),
    *(
        Case(90, name, content, Refused(415, "unsupported-format"))
        for name, content in (
            ("a zip bomb", _zip("rows.csv", bytes(10_000_000))),
            ("a zip that slips", _zip("../../rows.csv", csv())),
            ("gzip", _compressed("gzip")),
            ("zstd", _compressed("zstd")),
            ("tar", _tar),
        )
    ),
    Case(91, "Parquet declared as CSV", parquet, Refused(422, "format-mismatch")),
    Case(91, "Parquet declared as JSONL", parquet, Refused(422, "format-mismatch"),
         media_type=JSONL),
    Case(92, "another digest", csv, Refused(422, "digest-mismatch"),
         headers={"Content-Digest": f"sha-256=:{'A' * 43}=:"}),
    Case(99, "an Idempotency-Key of 300 characters", csv, Refused(400, "bad-idempotency-key"),
         headers={"Idempotency-Key": "k" * 300}),
    Case(99, "a control character in an Idempotency-Key", csv,
         Refused(400, "bad-idempotency-key"), headers={"Idempotency-Key": "a\tb"}),
    Case(99, "a long Idempotency-Key of a dataset", csv,
         Refused(400, "bad-idempotency-key", "/datasets"),
         headers={"Idempotency-Key": "k" * 300}),
]  # fmt: skip

MEANINGS = [
    Case(100, "one class", _labelled("ham"), Rejected("single-class")),
    Case(101, "a class of two rows", _added(("a parcel", "rare"), ("my violin", "rare")),
         Ready("class-too-small"),
         check=lambda judged: _counts_of("rare", judged) == {"train": 2}),
    Case(102, "no label", _csv_with(b"alone,"),
         Rejected("null-label", line=_LINE, column="label")),
    Case(102, "a blank label", _csv_with(b"alone,  "),
         Rejected("null-label", line=_LINE, column="label")),
    _json(102, "a null label", b'{"text": "alone", "label": null}', "null-label", column="label"),
    Case(102, "150 rows without a label", _csv_with(*(b"row %d," % i for i in range(150))),
         Rejected("null-label", line=_LINE + 99),
         check=lambda judged: judged.report["errors_total"] == 150),
    Case(103, "labels of four types", _mixed_labels, Ready("mixed-label-type"), media_type=JSONL),
    Case(103, "labels of numbers in CSV", _labelled("1", "1.0", "true"), Ready(),
         check=_has_labels("1", "1.0", "true")),
    _json(104, "a label that is NaN", b'{"text": "alone", "label": NaN}', "null-label"),
    _parquet(104, "a Parquet label that is NaN",
             lambda: parquet(label=pa.array([float("nan"), *[0.0, 1.0, 2.0] * 21])),
             Rejected("null-label")),
    Case(105, "spellings of one label", _labelled("spam", "Spam", "spam ", "ham"),
         Ready("near-duplicate-labels"), check=_has_labels("spam", "Spam", "spam ", "ham")),
    Case(106, "a label of 10 KB", _csv_with(b"alone," + b"L" * 10_240),
         Rejected("invalid-label", line=_LINE, column="label")),
    Case(106, "a bell in a label", _csv_with(b"alone,ha\am"),
         Rejected("invalid-label", line=_LINE, column="label")),
    Case(106, "NUL in a label", _csv_with(b"alone,ha\0m"),
         Rejected("invalid-label", line=_LINE, column="label")),
    Case(107, "labels that are markup", _labelled(*_MARKUP), Ready(),
         check=_has_labels(*_MARKUP)),
    Case(108, "labels that are formulas", _labelled(*_FORMULAS), Ready(),
         check=_has_labels(*_FORMULAS)),
    Case(109, "a label that overrides the direction", _labelled("safe", "\u202eefas"),
         Ready("confusable-label"), check=_has_labels("safe", "\u202eefas")),
    Case(109, "a label with a Cyrillic letter", _labelled("refund", "r\u0435fund"),
         Ready("confusable-label"), check=_has_labels("refund", "r\u0435fund")),
    Case(109, "a label with a zero-width space", _labelled("spam", "sp\u200bam"),
         Ready("confusable-label"), check=_has_labels("spam", "sp\u200bam")),
    Case(110, "a class for each row", lambda: csv([(text, text) for text in TEXTS]),
         Rejected("too-many-classes")),
    Case(110, "12,000 classes of three rows",
         lambda: csv([(f"text {i}", f"label {i % 12_000}") for i in range(36_000)]),
         Rejected("too-many-classes")),
    Case(111, "an empty text", _csv_with(b",ham"),
         Rejected("empty-text", line=_LINE, column="text")),
    Case(111, "a text of spaces", _csv_with(b"  ,ham"),
         Rejected("empty-text", line=_LINE, column="text")),
    Case(111, "three empty texts to drop", _csv_with(b",ham", b" ,ham", b",spam"), Ready(),
         spec={"policies": {"empty": "drop"}},
         check=lambda judged: judged.report["rows"] - judged.report["accepted"] == 3),
    Case(112, "texts that read like nothing", _added(*((text, "ham") for text in _LITERALS)),
         Ready(), check=_has_texts(*_LITERALS)),
    Case(113, "one text for every row of three files",
         dict.fromkeys(("train", "validation", "test"), lambda: csv([("same", "ham"),
                                                                     ("same", "spam")])),
         Ready("constant-text"), spec={"policies": {"leakage": "warn"}}),
    Case(114, "a text under two labels", _added((TEXTS[0], "spam")),
         Ready("conflicting-duplicates"),
         check=lambda judged: judged.report["conflicts"]["texts"] == 1
         and judged.report["conflicts"]["examples"][0]["labels"] == ["ham", "spam"]),
    Case(115, "test rows in train",
         {"train": csv, "test": lambda: csv([*_LATER, *PAIRS[:4]])}, Ready("leakage"),
         check=lambda judged: judged.report["leakage"]["dropped"] == 4
         and len(judged.report["leakage"]["examples"]) == 4
         and judged.dataset["splits"]["test"] == 20),
    Case(116, "a test label that train lacks",
         {"train": csv, "test": lambda: csv([*_LATER, ("my violin", "novel")])},
         Rejected("unseen-label", line=18, says=["novel"])),
    Case(116, "a train label that test lacks",
         {"train": lambda: csv(paired(TEXTS, ["ham", "spam", "eggs"])),
          "test": lambda: csv(_LATER)}, Ready(),
         check=lambda judged: any("eggs" in found["message"]
                                  for found in judged.report["warnings"])),
    _spec(117, "no share for test", "invalid-split", _shares(0.85, 0.15, 0.0)),
    _spec(117, "a share below 0", "invalid-split", _shares(1.0, -0.15, 0.15)),
    _spec(117, "a share above 1", "invalid-split", _shares(1.5, 0.15, 0.15)),
    _spec(117, "shares that sum to 0.9", "invalid-split", _shares(0.6, 0.15, 0.15)),
    Case(117, "too few rows for a test split", lambda: csv(PAIRS[:6]), Rejected("invalid-split")),
    Case(117, "a split column that names no test row",
         lambda: csv(header="text,label,part").replace(b"ham\n", b"ham,train\n").replace(
             b"spam\n", b"spam,train\n"),
         Rejected("invalid-split"), spec={"split": {"column": "part"}}),
    _spec(118, "no name", "invalid-name", {"name": ""}),
    _spec(118, "a name of 300 characters", "invalid-name", {"name": "n" * 300}),
    _spec(118, "a name that climbs", "invalid-name", {"name": "../x"}),
    _spec(118, "NUL in a name", "invalid-name", {"name": "a\0b"}),
    _spec(118, "a newline in a name", "invalid-name", {"name": "a\nb"}),
    Case(118, "a name that is markup", csv, Ready(), spec={"name": "<b>x</b>"},
         check=lambda judged: judged.dataset["name"] == "<b>x</b>"),
    _spec(120, "a URL", "unknown-field", {"url": "http://169.254.169.254/rows.csv"}),
]  # fmt: skip

CASES = [*CONTAINERS, *MEANINGS]
