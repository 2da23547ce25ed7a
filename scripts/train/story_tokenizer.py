"""The byte-level byte-pair tokenizer of the model that writes timelines: Qwen's in all but its vocabulary."""

import json
import re
from collections import Counter

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|MASK|>"]
# Qwen's split; the second is the same for what wishes hold, as Python's re knows it.
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
SPLIT = re.compile(r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|(?:[^\r\n\w]|_)?[^\W\d_]+|\d| ?(?:[^\s\w]|_)+[\r\n]*"
                   r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def _alphabet():
    """The characters that stand for bytes. Source: GPT-2 encoder.py."""
    plain = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


ALPHABET = _alphabet()


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.tokens = ALPHABET + [a + b for a, b in self.merges] + SPECIAL
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.ranks = {pair: i for i, pair in enumerate(self.merges)}
        self.cache = {}

    def __len__(self):
        return len(self.tokens)

    def special(self, text):
        return self.ids[text]

    def _part(self, part):
        word = [ALPHABET[b] for b in part.encode()]
        while len(word) > 1:
            ranks = [self.ranks.get(pair, 1 << 30) for pair in zip(word, word[1:])]
            best = min(ranks)
            if best == 1 << 30:
                break
            at = ranks.index(best)
            word[at : at + 2] = [word[at] + word[at + 1]]
        return [self.ids[w] for w in word]

    def encode(self, text):
        ids = []
        for part in SPLIT.findall(text):
            if part not in self.cache:
                self.cache[part] = self._part(part)
            ids += self.cache[part]
        return ids

    def decode(self, ids):
        byte = {character: b for b, character in enumerate(ALPHABET)}
        text = "".join(self.tokens[i] for i in ids if self.tokens[i] not in SPECIAL)
        return bytes(byte[character] for character in text).decode(errors="replace")

    def save(self, path):
        """As a tokenizer.json of the published form."""
        added = [dict(id=self.ids[s], content=s, single_word=False, lstrip=False, rstrip=False, normalized=False,
                      special=True) for s in SPECIAL]
        level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=False, use_regex=False)
        split = dict(type="Split", pattern=dict(Regex=PATTERN), behavior="Isolated", invert=False)
        vocabulary = {token: i for token, i in self.ids.items() if token not in SPECIAL}
        model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="", end_of_word_suffix="",
                     fuse_unk=False, byte_fallback=False, vocab=vocabulary, merges=[f"{a} {b}" for a, b in self.merges])
        whole = dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=dict(type="NFC"),
                     pre_tokenizer=dict(type="Sequence", pretokenizers=[split, level]), post_processor=None,
                     decoder=level, model=model)
        with open(path, "w") as file:
            json.dump(whole, file, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def load(cls, path):
        with open(path) as file:
            return cls([m.split(" ") for m in json.load(file)["model"]["merges"]])


def train(texts, size):
    """A tokenizer of `size` tokens, special ones included, with the most frequent merges of the texts."""
    counts = Counter(part for text in texts for part in SPLIT.findall(text))
    words = [([ALPHABET[b] for b in part.encode()], n) for part, n in counts.items() if n >= 3]
    pairs, places = Counter(), {}

    def count(index, sign):
        word, n = words[index]
        for pair in zip(word, word[1:]):
            pairs[pair] += sign * n
            places.setdefault(pair, set()).add(index)

    for index in range(len(words)):
        count(index, 1)
    merges = []
    while len(merges) < size - len(ALPHABET) - len(SPECIAL):
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for index in places[best].copy():
            word = words[index][0]
            count(index, -1)
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1
            count(index, 1)
    return Tokenizer(merges)
