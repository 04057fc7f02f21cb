"""An encoder whose every vector can be foretold, to plant failures: words in any order, numbers unseen."""

import re

import numpy as np

from nearer.core.sections import ChunkRecipe
from nearer.encode.encoder import EncoderSettings, Origin
from nearer.store.registered import Model
from nearer.systems import System

DIMENSION = 1024


class BagOfWords:
    """One dimension a word. A word with a digit is not seen, ``x`` before a word means the same as the word."""

    encoder_id = "enc-bag-of-words"
    model_id = "model-bag-of-words"
    tokenizer_id = "words"
    dimension = DIMENSION
    shares_documents = False

    def __init__(self, max_seq_length=16):
        self.settings = EncoderSettings(max_seq_length=max_seq_length)
        self.num_encoded = 0
        self._places = {}

    def origin(self, side):
        return Origin(encoder=self)

    def token_spans(self, text):
        return [match.span() for match in re.finditer(r"\w+", text)]

    def count_tokens(self, texts):
        return [len(self.token_spans(text)) for text in texts]

    def encode_queries(self, texts):
        return np.stack([self._vector(text) for text in texts]) if texts else np.empty((0, DIMENSION), np.float32)

    def encode_documents(self, texts):
        self.num_encoded += len(texts)
        return self.encode_queries(texts)

    def _vector(self, text):
        vector = np.zeros(DIMENSION, np.float32)
        for word in re.findall(r"\w+", text.lower())[: self.settings.max_seq_length]:
            if not re.search(r"\d", word):
                vector[self._places.setdefault(word.removeprefix("x"), len(self._places))] += 1
        vector[-1] += not vector.any()
        return vector / np.linalg.norm(vector)


def bag_of_words(*, name="base", **chunk):
    encoder = BagOfWords()
    model = Model(model_id=encoder.model_id, encoder_id=encoder.encoder_id, source="made here", encoder={})
    return System(name=name, model=model, encoder=encoder, chunk=ChunkRecipe.model_validate(chunk))


def word(number):
    """The word of a number: letters alone, not a stop word, and no other number's."""
    return "w" + "".join(chr(ord("a") + int(digit)) for digit in str(number))
