"""Writes tokenizer_ids.json: prompts that need no cleaning, and their ids by the demo model's tokenizer.

    pip install sentencepiece && python tests/data/tokenizer_ids.py
"""

import json
import pathlib

import sentencepiece

PROMPTS = [
    "a red balloon drifts over snowy hills at dawn",
    "A paper boat in heavy rain, night falls; 3 lanterns glow.",
    "Zeppelin über Köln",
    "日本語 and 12345 ﬁ ① e\u0301",
    "x",
    "🎈 rises",
    "unaffordable antidisestablishmentarianism!",
]


def main() -> None:
    here = pathlib.Path(__file__)
    model = here.parents[2] / "assets/demo/spiece.model"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    # The cleaning takes the ligature apart; the tokenizer's normaliser would too.
    cases = [{"prompt": prompt, "ids": processor.encode(prompt) + [processor.eos_id()]} for prompt in PROMPTS]
    made_by = f"tests/data/tokenizer_ids.py, sentencepiece {sentencepiece.__version__}, assets/demo/spiece.model"
    text = json.dumps({"made_by": made_by, "cases": cases}, indent=1)
    here.with_suffix(".json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
