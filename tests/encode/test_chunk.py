import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.records import Document
from nearer.encode.chunk import Window, passages, split_text


def words_and_marks(text):
    """Token spans of a tokenizer that, like WordPiece, cuts long words: at most 4 characters a token."""
    return [
        (start, min(start + 4, match.end()))
        for match in re.finditer(r"\w+|[^\w\s]", text)
        for start in range(match.start(), match.end(), 4)
    ]


WINDOWS = st.integers(1, 12).flatmap(
    lambda size: st.builds(Window, max_tokens=st.just(size), overlap_tokens=st.integers(0, size // 2))
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(["a", "bb", "cccccc", "extraordinarily", ".", "! ", "\n", "\n\n", " ", "。"])).map(
        "".join
    ),
    st.lists(st.sampled_from(["one", "two.", "three", "four.\n\n", "five\n"]), max_size=60).map(" ".join),
    st.text(max_size=200),
    st.text(alphabet="a\u0301 \u200d\U0001f469\U0001f3fd東é.\u2028\u00a0\x0c\n", max_size=120),
)


def spans_in(text, pieces):
    """The character span of every piece in the text, each beginning at or after the one before."""
    found, at = [], 0
    for piece in pieces:
        at = text.index(piece, at)
        found.append((at, at + len(piece)))
    return found


@settings(max_examples=250, deadline=None)
@given(TEXTS, WINDOWS)
def test_pieces_cover_every_token_in_order_and_are_never_too_long(text, window):
    spans = words_and_marks(text)
    pieces = split_text(text, window=window, spans=spans)
    assert len(pieces) <= max(1, len(spans))
    if len(spans) <= window.max_tokens:
        assert pieces == [text]
        return
    assert all(len(words_and_marks(piece)) <= window.max_tokens for piece in pieces)
    tokens = [text[start:end] for start, end in spans]
    places = {(0, 0)}  # where the last piece may stand; more than one place where tokens repeat
    for piece in pieces:  # each piece is a run of tokens that begins inside or right after the one before
        run = [piece[start:stop] for start, stop in words_and_marks(piece)]
        places = {
            (start, start + len(run))
            for position, end in places
            for start in range(position, end + 1)
            if tokens[start : start + len(run)] == run and start + len(run) > end
        }
        assert places, (pieces, piece)
    assert len(tokens) in {end for _, end in places}


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), WINDOWS)
def test_the_overlap_is_what_was_asked_for_where_there_are_no_borders(num_words, window):
    text = " ".join(f"w{n:03}"[:4] for n in range(num_words))
    pieces = [piece.split() for piece in split_text(text, window=window, spans=words_and_marks(text))]
    for left, right in itertools.pairwise(pieces):
        assert len(left) == window.max_tokens
        assert left[len(left) - window.overlap_tokens :] == right[: window.overlap_tokens]


def pieces_of(text, max_tokens, overlap=0):
    spans = [match.span() for match in re.finditer(r"\w+", text)]
    return split_text(text, window=Window(max_tokens=max_tokens, overlap_tokens=overlap), spans=spans)


def test_a_paragraph_border_wins_over_a_later_sentence_border():
    text = "a b c\n\nd e. f g h i"
    assert pieces_of(text, 6) == ["a b c\n\nd e.", "f g h i"]  # the paragraph ends in the first half
    assert pieces_of("a b c d\n\ne. f g h i", 6) == ["a b c d", "e. f g h i"]


def test_a_border_in_the_first_half_is_not_used():
    assert pieces_of("a. b c d e f g h", 6) == ["a. b c d e f", "g h"]


@pytest.mark.parametrize("mark", [". ", "! ", '?" ', "\n", "。 ", ".) "])
def test_sentences_end_at_these_marks(mark):
    assert pieces_of(f"a b c d{mark}e f g h", 6)[0] == f"a b c d{mark}".strip()


def test_a_passage_that_repeats_begins_at_a_sentence_if_one_begins_there():
    assert pieces_of("a b c d. e f. g h i j k", 6, overlap=3) == ["a b c d. e f.", "e f. g h i j", "h i j k"]


def test_words_are_not_cut_unless_they_fill_a_window():
    text = "short extraordinarily short again"
    spans = words_and_marks(text)  # 2 + 4 + 2 + 2 tokens
    assert split_text(text, window=Window(max_tokens=5, overlap_tokens=2), spans=spans)[0] == "short extraordinar"
    whole = split_text(text, window=Window(max_tokens=7, overlap_tokens=1), spans=spans)
    assert whole[0] == "short extraordinarily"


def test_a_text_within_the_limit_is_returned_as_is():
    assert pieces_of("  a b \n", 2) == ["  a b \n"]
    assert pieces_of("", 2) == [""]
    assert pieces_of(" \n ", 2) == [" \n "]


@pytest.mark.parametrize(("max_tokens", "overlap"), [(10, 6), (1, 1), (10, -1)])
def test_an_overlap_that_would_hinder_progress_is_refused(max_tokens, overlap):
    with pytest.raises(ValueError, match="at most half"):
        Window(max_tokens=max_tokens, overlap_tokens=overlap)


def test_documents_become_numbered_passages_title_first():
    documents = [Document(doc_id="a", title="T", text="b c d"), Document(doc_id="e", text="")]
    window = Window(max_tokens=3, overlap_tokens=0)
    made = list(passages(documents, window=window, token_spans=words_and_marks))
    assert [(p.doc_id, p.ordinal, p.text) for p in made] == [("a", 0, "T\nb c"), ("a", 1, "d"), ("e", 0, "")]
    whole = list(passages(documents, window=None, token_spans=words_and_marks))
    assert [(p.doc_id, p.ordinal, p.text) for p in whole] == [("a", 0, "T\nb c d"), ("e", 0, "")]


def test_passages_stay_within_the_limit_for_the_models_own_tokenizer(tiny_encoder):
    text = "Unfathomable idiosyncrasies bewilder. " * 20 + "Donaudampfschifffahrt " * 10 + "été 東京 " * 20
    spans = tiny_encoder.token_spans(text)
    for piece in split_text(text, window=Window(max_tokens=60, overlap_tokens=20), spans=spans):
        assert len(tiny_encoder.token_spans(piece)) <= 60


def words_of(text):
    return [match.span() for match in re.finditer(r"\S+", text)]


HEADED = Window(max_tokens=20, overlap_tokens=4, repeat_title=True)


def numbered(number):
    return " ".join(f"w{n}" for n in range(number))


@pytest.mark.parametrize(
    ("title", "text", "heading"),
    [
        ("On rain", numbered(60), "On rain"),
        ("  On rain ", numbered(60), "On rain"),
        ("A title of more words than a heading has room for", numbered(60), "A title of more words"),
        ("", f"How does it rain? {numbered(60)}", "How does it rain?"),
        (" ", f"How does it rain? {numbered(60)}", "How does it rain?"),
        ("", f"1. Of rain again. {numbered(60)}", "1. Of rain again."),
        ("", f"Rain and much else\n\n{numbered(60)}", "Rain and much else"),
        ("", f"बारिश कैसे होती है। {numbered(60)}", "बारिश कैसे होती है।"),
        ("", numbered(60), "w0 w1 w2 w3 w4"),
    ],
)
def test_every_passage_but_the_first_begins_with_the_heading_within_the_length(title, text, heading):
    document = Document(doc_id="d", title=title, text=text)
    first, *others = [each.text for each in passages([document], window=HEADED, token_spans=words_of)]
    assert len(others) > 2
    assert document.full_text.strip().startswith(first)
    assert all(each.startswith(f"{heading}\n") and len(each.split()) <= 20 for each in others)
    assert {word for each in (first, *others) for word in each.split()} == {*document.full_text.split()}


def test_chinese_sentences_end_without_white_space():
    text = "下雨是怎么回事？水汽上升。" + "云里有很多小水滴。" * 12
    spans = [(at, at + 1) for at in range(len(text))]
    window = Window(max_tokens=40, overlap_tokens=10, repeat_title=True)
    found = [
        each.text for each in passages([Document(doc_id="d", text=text)], window=window, token_spans=lambda _: spans)
    ]
    assert all(each.endswith("。") for each in found)
    assert all(each.startswith("下雨是怎么回事？\n云") for each in found[1:])


def test_what_is_in_one_piece_has_no_heading():
    document = Document(doc_id="d", title="On rain", text=numbered(18))
    assert [each.text for each in passages([document], window=HEADED, token_spans=words_of)] == [document.full_text]


@pytest.mark.parametrize("repeat_title", [False, True])
def test_a_passage_tells_where_it_is_in_its_document(repeat_title):
    document = Document(doc_id="d", title="  A title ", text="  One two three. Four five.\n\nSix seven eight nine.  ")
    window = Window(max_tokens=12, overlap_tokens=2, repeat_title=repeat_title)
    found = list(passages([document], window=window, token_spans=words_and_marks))
    assert len(found) > 1
    for passage in found:
        own = document.full_text[passage.start : passage.end]
        assert passage.text == (f"A title\n{own}" if repeat_title and passage.ordinal else own)
        assert own == own.strip()
