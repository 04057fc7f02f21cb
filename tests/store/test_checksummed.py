import pytest

from nearer.store.checksummed import MANIFEST, fault_in, keep_checksummed


@pytest.fixture
def checksummed(tmp_path):
    source = tmp_path / ".tmp-x"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(bytes(range(256)))
    (source / "deep" / "b.json").write_text("{}")
    (source / "empty").touch()
    keep_checksummed(source, tmp_path / "new" / "checksummed")
    assert not source.exists()
    return tmp_path / "new" / "checksummed"


def test_a_sealed_folder_is_whole(checksummed):
    assert fault_in(checksummed) == ""
    assert (checksummed / "deep" / "b.json").read_text() == "{}"


def test_every_flipped_bit_is_found(checksummed):
    for path in [each for each in checksummed.rglob("*") if each.is_file()]:
        content = path.read_bytes()
        for position in range(len(content)):
            if not chr(content[position]).isspace() or path.name != MANIFEST:  # a space more or less says the same
                flipped = bytes([*content[:position], content[position] ^ 1, *content[position + 1 :]])
                path.write_bytes(flipped)
                assert fault_in(checksummed), (path, position)
        path.write_bytes(content)
    assert fault_in(checksummed) == ""


@pytest.mark.parametrize("name", ["a.bin", "deep/b.json", MANIFEST])
def test_what_is_cut_gone_or_new_is_found(checksummed, name):
    path = checksummed / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert (name if name != MANIFEST else "damaged") in fault_in(checksummed)
    path.unlink()
    assert name in fault_in(checksummed)
    path.write_bytes(content)
    (checksummed / "more").touch()
    assert fault_in(checksummed) == "more came or went"


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"format_version": 2, "files": {}}', "format 2"),
        ('{"format_version": 1, "files": 3}', "damaged"),
        ("\udcff", "damaged"),
    ],
)
def test_a_manifest_that_says_nothing_is_a_fault(checksummed, content, wanted):
    (checksummed / MANIFEST).write_text(content, errors="surrogateescape")
    assert wanted in fault_in(checksummed)


def test_a_folder_without_a_manifest_is_not_sealed(tmp_path):
    assert MANIFEST in fault_in(tmp_path)
