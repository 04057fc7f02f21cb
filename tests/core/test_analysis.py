import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearer.core.analysis import LANGUAGES, STOP_WORDS, analyse, analyser_id, fold, words


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        # Lucene, TestEnglishAnalyzer.java
        ("books", "book"),
        ("book", "book"),
        ("the", ""),
        ("steven's", "steven"),
        ("steven\u2019s", "steven"),
        ("steven\uff07s", "steven"),
        # Lucene, TestStandardAnalyzer.java, in lower case and with the stems that PorterStemmer.java gives
        ("B2B 2B", "b2b 2b"),
        ("some-dashed-phrase", "some dash phrase"),
        ("dogs,chase,cats", "dog chase cat"),
        ("ac/dc", "ac dc"),
        ("O'Reilly you're she's don't O'Reilly's", "o'reilli you'r she don't o'reilli"),
        ("21.35 R2D2 C3PO 216.239.63.104", "21.35 r2d2 c3po 216.239.63.104"),
        ("David has 5000 bones", "david ha 5000 bone"),
        ("foo      bar .  FOO <> BAR", "foo bar foo bar"),
        ('"QUOTED" word', "quot word"),
        ("C++ C# a++b", "c c b"),
        ("m\u0364chte", "m\u0364chte"),
        ("我是中国人。 １２３４ Ｔｅｓｔｓ", "我 是 中 国 人 我是 是中 中国 国人 1234 test"),
        ("한글입 니다", "한 글 입 한글 글입 니 다 니다"),
        ("งานดี. ๑๒๓๔", "ง า น ดี งา าน นดี งาน านดี 1234"),
        # Unicode Standard Annex 29: connectors, dots, colons and commas within words and numbers
        ("foo_bar __init__ ____ os.path.join", "foo_bar __init__ os.path.join"),
        ("HTTP-404 E0x1F 4,600 1,000.50; a:b 3:4", "http 404 e0x1f 4,600 1,000.50 a:b 3 4"),
        ("end. 5. x_ _y", "end 5 x_ _y"),
        ("カナ ひら", "カ ナ カナ ひ ら ひら"),
        ("", ""),
        ("... --- !!", ""),
    ],
)
def test_analyses_as_lucene_does(text, terms):
    assert analyse(text) == terms.split()


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        # Porter, An Algorithm for Suffix Stripping (1980), examples of the steps
        ("caresses", "caress"), ("ponies", "poni"), ("ties", "ti"), ("cats", "cat"), ("feed", "feed"),
        ("agreed", "agre"), ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("hopping", "hop"),
        ("filing", "file"), ("happy", "happi"), ("sky", "sky"), ("relational", "relat"), ("digitizer", "digit"),
        ("vietnamization", "vietnam"), ("formality", "formal"), ("electricity", "electr"), ("goodness", "good"),
        ("adjustment", "adjust"), ("effective", "effect"), ("probate", "probat"), ("rate", "rate"), ("roll", "roll"),
        # Lucene, PorterStemmer.java: its departures from the paper
        ("us", "us"), ("io", "io"), ("possibly", "possibl"), ("irresponsibly", "irrespons"), ("stably", "stabli"),
        ("apology", "apolog"), ("biology", "biologi"), ("dyslogy", "dyslog"),
    ],
)  # fmt: skip
def test_stems_as_lucene_does(word, stem):
    assert analyse(word) == [stem]


def test_the_stop_words_are_lucenes_33():
    assert len(STOP_WORDS) == 33
    assert analyse(" ".join(STOP_WORDS)) == []


@settings(deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("0129 _-.'s"))))
def test_any_text_can_be_analysed_and_no_digit_is_lost(text):
    terms = analyse(text)
    assert all(terms)
    digits = re.findall(r"\d", unicodedata.normalize("NFKC", text))
    assert re.findall("[0-9]", "".join(terms)) == [str(unicodedata.decimal(digit)) for digit in digits]


def test_long_runs_that_are_no_words_are_walked_once():
    began = time.monotonic()
    assert analyse("_" * 200_000 + " " + "a_" * 100_000 + "." * 200_000) == ["a_" * 100_000]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("मेरा बिल गलत है", ["मेरा", "बिल", "गलत", "है"]),
        ("తెలుగు భాష", ["తెలుగు", "భాష"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("我的iPhone坏了E4042出现", ["我的", "iphone", "坏了", "e4042", "出现"]),
        ("猫", ["猫"]),
        ("東京都庁", ["東京", "京都", "都庁"]),
        ("ปลาดี ดี", ["ปลา", "ลาดี", "ดี"]),
        ("한국어가 iPhone을", ["한국어가", "iphone", "을"]),
        ("👩\u200d💻 ❤\ufe0f 🇩🇪 👍🏽", ["👩", "💻", "❤", "🇩🇪", "👍"]),
        ("C++ C# F#-code g++", ["c++", "c#", "f#", "code", "g++"]),
        ("naïve C++ parse_args os.path.join", ["naïve", "c++", "parse_args", "os.path.join"]),
        ('צה"ל צה״ל', ["צה״ל", "צה״ל"]),
        ("Don\u2019t don't", ["don't", "don't"]),
        ("co\u00adoperate zero\u200bwidth \ufeffmark", ["cooperate", "zerowidth", "mark"]),
        ("ﷺ", ["صلى", "الله", "عليه", "وسلم"]),
        (
            "\u0d05\u0d35\u0d7b \u0d05\u0d35\u0d28\u0d4d\u200d",
            ["\u0d05\u0d35\u0d28\u0d4d"] * 2,
        ),  # a chillu, old and new
        ("\u0989\u09ce\u09b8 \u0989\u09a4\u09cd\u200d\u09b8", ["\u0989\u09a4\u09cd\u09b8"] * 2),  # Bengali khanda ta
        ("5½ 10² ½ 1/2 m² H₂O", ["5", "1", "2", "10", "2", "1", "2", "1", "2", "m2", "h2o"]),
        ("... !? ___", []),
        ("", []),
    ],
)
def test_what_a_word_is_in_each_script(text, expected):
    assert words(text) == expected


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("aA1_ .'東ไทक्षé"))))
def test_forms_of_one_text_have_the_same_words(text):
    for form in ("NFC", "NFD"):
        changed = unicodedata.normalize(form, text)
        assert words(changed) == words(text)
        assert analyse(changed) == analyse(text)
    assert fold(fold(text)) == fold(text)


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="abzAZ059_ .,:;'+#-/\n\u2019", max_size=40))
def test_ascii_is_cut_as_all_other_text(text):
    assert words(text) == [word for word in words(f"{text} é") if word != "é"]


def test_an_index_of_other_terms_has_another_id():
    assert len({analyser_id(language) for language in LANGUAGES}) == len(LANGUAGES)
