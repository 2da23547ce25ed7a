"""Trains the demo model's tokenizer: a SentencePiece unigram model with the token ids of umT5 (pad 0, </s> 1, <s> 2,
<unk> 3).

    python scripts/train/train_tokenizer.py

Text: captions of random videos and a list of everyday words, so that a sentence of other words is still split into
sensible pieces. Letters are folded to lower case (nmt_nfkc_cf); unknown characters become bytes.
"""

import argparse
import random
from pathlib import Path

import sentencepiece
import torch

import world
from captions import VIEW_WORDS, caption
from tokenizer_words import EVERYDAY_WORDS


def corpus(captions, seed):
    """Captions and everyday words, one string each."""
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    params = world.add_changes(world.sample(captions, generator), 0.4, generator, 9, 10)
    columns = {key: value.tolist() for key, value in params.items()}
    for i in range(captions):
        yield caption({key: value[i] for key, value in columns.items()}, rng, second=i % 4 == 0)
    for word in EVERYDAY_WORDS:
        for _ in range(100):
            yield word


def train(output, vocabulary, captions, seed):
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=corpus(captions, seed), model_writer=file, model_type="unigram", vocab_size=vocabulary,
            character_coverage=1.0,
            pad_id=0, eos_id=1, bos_id=2, unk_id=3, normalization_rule_name="nmt_nfkc_cf", byte_fallback=True,
            split_digits=True,
            user_defined_symbols=["\u2581" + word for words in VIEW_WORDS.values() for word in words],
            num_threads=2, minloglevel=1)
    return sentencepiece.SentencePieceProcessor(model_file=str(output))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default=str(Path(__file__).parent / "spiece.model"))
    parser.add_argument("--vocabulary", type=int, default=2560)
    parser.add_argument("--captions", type=int, default=60000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    processor = train(args.output, args.vocabulary, args.captions, args.seed)
    for text in ("A red balloon drifts over snowy hills at dawn.", "Zeppelin über Köln"):
        print(processor.encode(text, out_type=str))


if __name__ == "__main__":
    main()
