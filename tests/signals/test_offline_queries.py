"""Queries made of documents by rules: in scripts without spaces they are stretches that the document holds."""

import pytest

from nearer.core.analysis import fold
from nearer.core.records import Document
from nearer.signals.offline_queries import OfflineWriter

TEXTS = {
    "Chinese": "如何申请退款？请登录账户后点击订单页面。客服会在三天内处理。",
    "Japanese": "返金を申請するにはアカウントにログインします。担当者が三日以内に対応します。",
    "Thai": "ระบบจะคืนเงินภายในเจ็ดวัน\nกรุณาติดต่อฝ่ายบริการลูกค้า",
    "Khmer": "សូមទាក់ទងសេវាអតិថិជន\nប្រាក់នឹងត្រូវបានសងវិញ",
    "Hindi": "मेरा बिल गलत है आज भी। मैं इसे ठीक करना चाहता हूँ। कृपया सहायता करें।",
    "Korean": "환불을 받으려면 고객센터에 전화하세요 지금 바로. 삼 일 안에 처리해 드립니다.",
    "mixed": "请在iPhone15设置中打开通知。然后重新启动App Store应用。",
}


@pytest.mark.parametrize("script", TEXTS)
def test_phrases_and_sentences_are_the_documents_own(script):
    document = Document(doc_id="d", text=TEXTS[script])
    made = OfflineWriter([document, Document(doc_id="e", text="other words")]).queries(document, number=6)
    kinds = {each.kind for each in made}
    assert "phrase" in kinds
    assert script in ("Thai", "Khmer") or "sentence" in kinds
    held = fold(document.text)
    for each in made:
        assert all(part in held for part in fold(each.text).split()), each
    if script in ("Chinese", "Thai"):
        assert any(" " not in each.text and len(each.text) > 2 for each in made if each.kind == "phrase")
