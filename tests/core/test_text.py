import pytest

from nearer.core.near_duplicates import cluster_texts
from nearer.core.text import normalise


@pytest.mark.parametrize(
    ("left", "right"),
    [("List users", "list  USERS!"), ("ﬁnd", "find"), ("!?", "!?"), ("", " \n"), ("東京の天気", "東京の天気")],
)
def test_texts_that_differ_in_form_only_are_alike(left, right):
    assert cluster_texts([left, right]) == [0, 0]


def test_normalise_is_stable_on_plain_text():
    assert normalise(normalise("  Ａ Straße\t")) == normalise("  Ａ Straße\t") == "a strasse"
