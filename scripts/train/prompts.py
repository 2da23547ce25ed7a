"""Captions as token ids, by the SentencePiece tokenizer that train_tokenizer.py made."""
import os

import sentencepiece
import torch

import captions
from umt5 import EOS, PAD

DEFAULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spiece.model")


class Tokenizer:
    def __init__(self, path=None, length=64):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=path or os.environ.get("SPIECE_MODEL", DEFAULT))
        self.length = length

    @property
    def vocabulary(self):
        return self.pieces.vocab_size()

    def __call__(self, sentences):
        """Sentences -> ids [n, length] int64: pieces, the end token, padding."""
        ids = torch.full((len(sentences), self.length), PAD)
        for row, pieces in zip(ids, self.pieces.encode(list(sentences))):
            pieces = pieces[:self.length - 1] + [EOS]
            row[:len(pieces)] = torch.tensor(pieces)
        return ids


def describe(params, rng, variants, second=False, complete=False):
    """`variants` different captions of every video, [n][variants]."""
    columns = {k: v.tolist() for k, v in params.items()}
    clips = [{k: v[i] for k, v in columns.items()} for i in range(len(columns["scene"]))]
    return [[captions.caption(clip, rng, second, complete) for _ in range(variants)] for clip in clips]


def caption_ids(params, tokenizer, rng, variants, second=False, complete=False):
    """[n, variants, L] ids of freshly written captions."""
    sentences = describe(params, rng, variants, second, complete)
    return tokenizer([s for video in sentences for s in video]).view(len(sentences), variants, -1)
