"""Files in other encodings: detected and told, never guessed into."""

import gzip

import pytest

from nearer.core.errors import InputError
from nearer.store.formats import Source, read_documents, read_queries
from nearer.store.formats.encodings import known_encoding
from store.tables import found, records, the_fault

TEXTS = {
    "cp1252": ["Die Rückerstattung dauert fünf Tage – Überweisung für 5 €", "Größe „ja“, schöne Grüße, müssen können"],
    "gb18030": ["如何退款？我的账单有错误，请帮助我。", "银行卡丢失了怎么办，需要多长时间才能补办。"],
    "cp1251": ["Как вернуть деньги за покупку в магазине", "Не приходит сообщение с кодом подтверждения"],
    "shift_jis": ["返金するにはどうすればよいですか。", "請求書が間違っているようです。確認してください。"],
}
every_encoding = pytest.mark.parametrize("encoding", TEXTS)
every_format = pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz"])


def write(folder, texts, encoding, name):
    line = {"csv": '{},"{}"\n', "tsv": "{}\t{}\n", "jsonl": '{{"_id": "{}", "text": "{}"}}\n'}
    ending = name.split(".")[1]
    head = {"csv": "_id,text\n", "tsv": "_id\ttext\n", "jsonl": ""}[ending]
    raw = (head + "".join(line[ending].format(row, text) for row, text in enumerate(texts))).encode(encoding)
    path = folder / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


@every_encoding
@every_format
def test_another_encoding_is_refused_with_its_name_and_what_it_would_read(tmp_path, encoding, name):
    texts = TEXTS[encoding]
    path = write(tmp_path, texts, encoding, name)
    good, faults = found(read_documents(path))
    assert good == []
    assert {reason.rpartition(" at ")[0] for _, reason in faults} == {"not UTF-8"}
    remedy = next(item.remedy for item in read_documents(path))
    offered = remedy.rpartition("--encoding ")[2]
    assert known_encoding(offered) in {known_encoding(encoding), "cp932"}
    assert "% sure" in remedy
    file = Source(path, encoding=offered)
    assert [each.text for each in records(read_documents(file))] == texts
    assert f"read as {known_encoding(offered)}" in file.notes.lines()[0]


@every_encoding
@every_format
def test_an_encoding_that_is_said_is_taken(tmp_path, encoding, name):
    path = write(tmp_path, TEXTS[encoding] * 3000, encoding, name)
    assert [each.text for each in records(read_documents(Source(path, encoding=encoding)))] == TEXTS[encoding] * 3000


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@every_format
def test_what_has_one_meaning_is_taken_and_reported(tmp_path, encoding, name):
    texts = [*TEXTS["gb18030"], *TEXTS["cp1252"]]
    file = Source(write(tmp_path, texts, encoding, name))
    assert [each.text for each in records(read_documents(file))] == texts
    assert "byte order mark" in file.notes.lines()[0]
    said = Source(file.path, encoding=encoding)
    assert [each.text for each in records(read_documents(said))] == texts


def test_utf_16_without_a_mark_and_without_ascii_needs_its_name(tmp_path):
    path = tmp_path / "q.tsv"
    path.write_bytes("".join(f"{n}\t{text}\n" for n, text in enumerate(TEXTS["gb18030"])).encode("utf-16-le"))
    assert all(reason for _, reason in found(read_queries(path))[1])
    texts = [each.text for each in records(read_queries(Source(path, encoding="utf-16-le")))]
    assert texts == TEXTS["gb18030"]


def test_one_broken_row_among_good_ones_is_no_other_encoding(tmp_path):
    path = write(tmp_path, ["é", "ü", "ö"], "utf-8", "a.csv")
    path.write_bytes(path.read_bytes() + b"9,caf\xe9\n")
    [fault] = [item for item in read_documents(path) if hasattr(item, "remedy")]
    assert "other rows are UTF-8" in fault.remedy
    assert "--encoding" not in fault.remedy


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_what_latin1_makes_of_cp1252_is_refused(tmp_path, name):
    path = write(tmp_path, ["it’s – „so“", "plain"], "cp1252", name)
    good, [(_, reason)] = found(read_documents(Source(path, encoding="latin1")))
    assert [each.text for each in good] == ["plain"]
    assert reason == "a control character U+0092, which no text holds: the file is not iso8859-1"
    damaged = write(tmp_path, ["it’s".encode("cp1252").decode("latin1")], "utf-8", name)
    fault = the_fault(read_documents(damaged))
    assert "U+0092" in fault.reason
    assert "--encoding cp1252" in fault.remedy
    assert [each.text for each in records(read_documents(Source(damaged, encoding="utf-8")))] == ["it\x92s"]


def test_an_escape_in_json_is_no_way_around(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"_id": "a", "text": "it\\u0092s"}\n')
    assert "U+0092" in the_fault(read_documents(path)).reason
    assert records(read_documents(Source(path, encoding="UTF8")))[0].text == "it\x92s"


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", "unicode_escape", "idna", "utf-7", "", "a b"])
def test_what_is_no_encoding(tmp_path, name):
    with pytest.raises(InputError, match="no encoding of text"):
        known_encoding(name)


def test_a_wrong_encoding_is_a_fault_of_the_file(tmp_path):
    path = write(tmp_path, TEXTS["cp1252"], "cp1252", "a.csv")
    for encoding in ("ascii", "gb18030", "utf-16"):
        good, faults = found(read_documents(Source(path, encoding=encoding)))
        assert good == []
        assert faults[-1][0] == 0
    path = write(tmp_path, ["x"], "utf-16", "a.csv")
    assert "byte order mark of utf-16" in the_fault(read_documents(Source(path, encoding="cp1252"))).reason


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz"])
def test_text_that_was_damaged_before_is_counted(tmp_path, name):
    whole = ["Größe „ja“", "Spaß“ – déjà vu à l’hôtel", "ÄÖÜ", "日本語", "plain"]
    texts = [*whole, *(text.encode().decode("cp1252") for text in ("Größe", "fünf Tage – so", "où")), "Gr\ufffde"]
    file = Source(write(tmp_path, texts, "utf-8", name))
    assert [each.text for each in records(read_documents(file))] == texts
    assert file.notes.lines() == (
        f"{name}: rows that hold UTF-8 that was read as cp1252: export the texts anew: 3",
        f"{name}: rows that hold signs U+FFFD in place of letters that were lost: export the texts anew: 1",
    )
