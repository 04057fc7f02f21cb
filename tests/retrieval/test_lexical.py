from math import log

import numpy as np
import pytest

from nearer.core.analysis import analyse
from nearer.core.errors import InputError
from nearer.retrieval.lexical import LexicalIndex

TEXTS = ["red red fox", "red hen", "", "blue whale swims with a blue boat", "hen"]


def bm25(query, *, k1, b):
    """Lucene's formula, term by term, in double precision."""
    documents = [analyse(text) for text in TEXTS]
    mean_length = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        total = 0.0
        for term in filter(document.__contains__, analyse(query)):
            num_holding = sum(term in each for each in documents)
            idf = log(1 + (len(documents) - num_holding + 0.5) / (num_holding + 0.5))
            tf = document.count(term)
            total += idf * tf / (tf + k1 * (1 - b + b * len(document) / mean_length))
        scores.append(total)
    return scores


def test_a_score_worked_out_by_hand():
    index = LexicalIndex(["red red fox", "red hen", "hen"], k1=1.2, b=0.75)  # lengths 3, 2, 1: mean 2
    found = index.search(["red"], k=3)
    idf = log(1 + 1.5 / 2.5)
    assert found.rows_QK.tolist() == [[0, 1, -1]]
    assert found.scores_QK[0, 0] == pytest.approx(idf * 2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)), rel=1e-6)
    assert found.scores_QK[0, 1] == pytest.approx(idf * 1 / (1 + 1.2), rel=1e-6)


@pytest.mark.parametrize("settings", [{"k1": 0.9, "b": 0.4}, {"k1": 1.2, "b": 0.75}, {"k1": 0.5, "b": 1.0}])
@pytest.mark.parametrize("query", ["red", "Red hens!", "blue blue boats", "fox whale hen red"])
def test_scores_are_lucenes_for_every_document(settings, query):
    found = LexicalIndex(TEXTS, **settings).search([query], k=len(TEXTS))
    scores = np.zeros(len(TEXTS))
    matched = found.rows_QK[0] >= 0
    scores[found.rows_QK[0][matched]] = found.scores_QK[0][matched]
    np.testing.assert_allclose(scores, bm25(query, **settings), rtol=1e-6)


def test_only_documents_with_a_shared_term_are_returned():
    found = LexicalIndex(TEXTS).search(["hens", "nothing known", "the", ""], k=4)
    assert found.rows_QK.tolist() == [[4, 1, -1, -1], *[[-1] * 4] * 3]
    assert np.isneginf(found.scores_QK[1:]).all()
    assert (found.rows_QK.dtype, found.scores_QK.dtype) == (np.int64, np.float32)


def test_ties_go_to_the_higher_row_at_the_cut_too():
    index = LexicalIndex(["same words", "other", "same words", "words same", "same words"])
    assert index.search(["same"], k=3).rows_QK.tolist() == [[4, 3, 2]]
    assert index.search(["same"], k=9).rows_QK.tolist() == [[4, 3, 2, 0, -1, -1, -1, -1, -1]]


def test_excluded_documents_are_left_out_of_their_querys_ranking_only():
    index = LexicalIndex(TEXTS)
    found = index.search(["red", "red"], k=2, excluded=([1], [0]))
    assert found.rows_QK.tolist() == [[0, 1], [1, -1]]


@pytest.mark.parametrize("texts", [[], ["", "the of"]])
def test_nothing_to_search(texts):
    found = LexicalIndex(texts).search(["red"], k=2)
    assert found.rows_QK.tolist() == [[-1, -1]]
    assert LexicalIndex(texts).search([], k=2).rows_QK.shape == (0, 2)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"k1": -1.0}, {}, "k1 is -1.0"),
        ({"k1": float("nan")}, {}, "k1 is nan"),
        ({"b": 1.5}, {}, "b is 1.5"),
        ({}, {"k": 0}, "k is 0"),
        ({}, {"excluded": ([0], [5])}, "excluded document row"),
        ({}, {"excluded": ([1], [0])}, "excluded query row"),
    ],
)
def test_refuses(settings, options, message):
    with pytest.raises(InputError, match=message):
        LexicalIndex(TEXTS, **settings).search(["red"], **({"k": 1} | options))


def first_found(texts, queries, **settings):
    return LexicalIndex(texts, **settings).search(queries, k=1).rows_QK[:, 0].tolist()


SPELLINGS = {
    "decomposed accents": ("resume\u0301 du caf\u00e9", "r\u00e9sum\u00e9s r\u00e9sum\u00e9 cafe\u0301"),
    "decomposed Vietnamese": ("Ti\u1ebfng Vi\u1ec7t", "Tie\u0302\u0301ng Vie\u0323\u0302t"),
    "full width": ("ＥＲＲ４０４　ｐａｒｓｅｒ", "err404 parser"),
    "ligatures": ("eﬃcient oﬀice ﬁle", "efficient office file"),
    "half-width katakana": ("ﾊﾟｽﾜｰﾄﾞ", "パスワード"),
    "soft hyphens": ("in\u00adfor\u00adma\u00adtion", "information"),
    "spaces of no width": ("ภาษา\u200bไทย", "ภาษาไทย"),
    "vowel signs of Arabic": ("مُحَمَّدٌ", "محمد"),
    "stretched Arabic": ("محمـــد", "محمد"),
    "points of Hebrew": ("שָׁלוֹם", "שלום"),
    "sharp s": ("STRASSE", "straße"),
    "dotted I": ("İSTANBUL", "istanbul"),
    "final sigma": ("ΟΔΟΣ", "οδός οδος"),
    "Arabic digits": ("غرفة ١٢٣", "123"),
    "curly apostrophe": ("l\u2019o\u2019reilly", "l'o'reilly"),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_finds_another(name):
    document, query = SPELLINGS[name]
    assert first_found(["something else", document, "anderes 4711"], [query]) == [1]
    assert first_found(["something else", query, "anderes 4711"], [document]) == [1]


UNSPACED = {
    "Chinese": (["我想重置登录密码", "如何申请退款", "快递什么时候到", "我喜欢猫"], ["忘记密码", "退款", "快递", "猫"]),
    "Japanese": (["パスワードを再設定する方法", "返品の手続き", "配送状況の確認"], ["再設定", "返品", "配送"]),
    "Thai": (["วิธีเปลี่ยนรหัสผ่าน", "ขอคืนเงินได้อย่างไร", "สินค้าจะมาถึงเมื่อไร", "ราคาปลาดี"], ["รหัสผ่าน", "คืนเงิน", "สินค้า", "ปลา"]),
    "Lao": (["ວິທີປ່ຽນລະຫັດຜ່ານ", "ຂໍເງິນຄືນໄດ້ແນວໃດ"], ["ລະຫັດຜ່ານ", "ເງິນຄືນ"]),
    "Khmer": (["របៀបប្តូរពាក្យសម្ងាត់", "តើខ្ញុំអាចសងប្រាក់វិញ"], ["ពាក្យសម្ងាត់", "ប្រាក់"]),
    "Burmese": (["စကားဝှက်ပြောင်းနည်း", "ငွေပြန်အမ်းတောင်းဆိုရန်"], ["စကားဝှက်", "ငွေပြန်အမ်း"]),
    "Korean": (["비밀번호를 변경하는 방법", "환불을 받고 싶어요"], ["비밀번호 변경", "환불이"]),
    "mixed": (["我的iPhone坏了", "错误E4042出现", "支付宝"], ["iphone", "E4042", "支付"]),
}


@pytest.mark.parametrize("name", UNSPACED)
def test_words_within_text_without_spaces_are_found(name):
    texts, queries = UNSPACED[name]
    assert first_found(texts, queries) == list(range(len(queries)))


def test_stems_and_stop_words_are_those_of_the_language():
    german = ["die Häuser der Stadt", "das Wetter"]
    assert first_found(german, ["Haus"], language="german") == first_found(german, ["Hauses"], language="german") == [0]
    assert first_found(["la situazione dell'acqua", "nulla"], ["acqua"], language="italian") == [0]
    assert first_found(["the house", "a cat"], ["the"], language="none") == [0]
    assert first_found(["ISPARTA", "başka"], ["ısparta"], language="turkish") == [0]


def test_what_was_saved_is_asked_in_its_language(tmp_path):
    made = LexicalIndex(["die Häuser", "die Katze"], language="german")
    made.save(tmp_path)
    assert LexicalIndex.load(tmp_path, language="german").search(["Haus"], k=1).rows_QK.tolist() == [[0]]
