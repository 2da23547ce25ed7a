#!/usr/bin/env python3
"""Makes tests/data/tokenizer from a published folder of Qwen's tokenizer: what the strings of language_tokenizer.json
can need of it, with the published ids, in the published order.

usage: trim_tokenizer.py FOLDER    (vocab.json, merges.txt and tokenizer_config.json of JetAstra/SDAR-8B-Chat)
"""

import json
import pathlib
import sys
import unicodedata

HERE = pathlib.Path(__file__).parent


def main():
    source, target = pathlib.Path(sys.argv[1]), HERE / "tokenizer"
    target.mkdir(exist_ok=True)
    golden = json.loads((HERE / "language_tokenizer.json").read_text(encoding="utf-8"))
    texts = [case["text"] for case in golden["strings"] + golden["chats"]]
    vocabulary = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    byte_of = {char: index for index, char in enumerate(sorted(
        (token for token in vocabulary if len(token) == 1), key=lambda token: vocabulary[token]))}
    order = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order += [byte for byte in range(256) if byte not in order]
    raw = lambda token: bytes(order[byte_of[char]] for char in token)
    wanted = b"\0\0".join(unicodedata.normalize("NFC", text).encode() for text in texts)
    kept = {token: index for token, index in vocabulary.items() if len(token) == 1 or raw(token) in wanted}
    merges = [line for line in (source / "merges.txt").read_text(encoding="utf-8").splitlines()
              if line.startswith("#version") or "".join(line.split(" ")) in kept]
    (target / "vocab.json").write_text(json.dumps(kept, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    (target / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    config = json.loads((source / "tokenizer_config.json").read_text(encoding="utf-8"))
    kept_keys = {key: config[key] for key in ("tokenizer_class", "added_tokens_decoder")}
    (target / "tokenizer_config.json").write_text(json.dumps(kept_keys, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
