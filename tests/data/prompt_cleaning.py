"""Writes prompt_cleaning.json: prompts, and what the published cleaning makes of them.

    pip install ftfy==6.3.1 regex && python tests/data/prompt_cleaning.py

The published cleaning is ftfy.fix_text, html.unescape twice, then white space (Self-Forcing wan/modules/tokenizers.py).
Results are in NFC, which our cleaning leaves to the tokenizer's own normaliser; cases where that matters are left out.
"""

import html
import json
import pathlib
import sys
import unicodedata

import ftfy
import regex

CASES = [
    # plain prompts
    "", "   ", "a red balloon drifts over snowy hills at dawn", "  two\twords \n", "日本語の文", "👨‍👩",
        "naïve café, 20°C — Ω",
    "x\u180ey \u00adz", "①½™ ′″´`", "l’été à la mer", "ÂME JOÃO Ã", "100% & more & ", "rock & roll; R&B",
    # white space
    "a b\u00a0c\u2003d\u202fe\u205ff\u3000g\u1680h\u2009i",
        "line one\r\nline two\rline three\u2028four\u2029five\x0csix",
    "zero\u200bwidth", "\u3000 padded \u00a0",
    # HTML
    "R&amp;D", "&lt;b&gt;bold&lt;/b&gt;", "<b>&amp;amp;amp;</b>", "&amp;amp;lt;", "&copy 2020 &COPY;",
        "&eacute;t&EACUTE;",
    "&#233;&#xE9;&#x201c;&#8212;", "&notit;", "&nosuch; &x; &;", "&hearts; &rarr; &nbsp; x", "&NTILDE; &ALPHA; &Alpha;",
    "&#0; &#x110000; &#128; &#13; &#1; &#xFFFE; &#129;", "&ampx &lt", "&euro;&trade;", "Tom&Jerry&copyright",
        "&#x1F600;",
    "&AMP;&LT;&quot;x&quot;&apos;", "it&#39;s &#39 &#x; &#", "one <\n&amp;amp;amp; two",
        "&amp;amp;amp; one\n<&amp;amp;amp; two",
    "&frac12; &thetasym; &zwnj;", "&eacute &EACUTE &alpha", "&#99999999999999999999;",
    # quotes, ligatures, width
    "“curly” ‘single’ ʼx „low‟ ‚x‛", "ﬁre ﬂow ﬃ ﬅ ﬆ ﬀ ﬄ", "ĳ Ĳ ŉ Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ Ǳ ǲ ǳ", "ＦＵＬＬ　ｗｉｄｔｈ！ ＂ｑ＂ （１）",
    "ｶﾀｶﾅ､ｱｲｳ｡", "Ａ，Ｂ：Ｃ；Ｄ？",
    # control characters, escapes, surrogates
    "a\x00b\x07c\x0bd\x0ce\x7f\ufeffg\u206ah\ufff9i", "a\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[m x\x1b[K",
        "\x1b[x \x1b]0;t",
    "\x85 dots \x93quote\x94 \x96dash \x80",
    # misread UTF-8
    "cafÃ© au lait", "donâ€™t stop", "â€œquotedâ€\x9d text", "ðŸ˜Š happy", "Ã¼ber Ã±", "20Â°C", "ÃƒÂ©tÃƒÂ©", "é€™ is",
    "ÐŸÑ€Ð¸Ð²ÐµÑ‚ мир", "CAFÉ™ logo", "Â© 2020", "Â«guillemetsÂ»", "â€” dash", "â€¦ dots", "âˆ’5", "\u00e2\u0080\u0099",
    "A Â£5 note", "Å\x82", "Î±Î²", "æ—¥æœ¬", "ä¸\xadå›½", "Ø§Ù„", "Ã\xa0 gauche", "sÃ£o", "Â¡Hola! Â¿QuÃ©?", "CÂ²",
        "50Â½",
    "âœ”", "â†’ right", "â™¥", "ï¬\x81re", "ï»¿bom", "â€\x9c", "“Ã©”", "fiancÃ©e's â€˜homeâ€™", "naïve Ã© mix ünï",
        "MANHÃ",
    "El NiÃ±o &amp; donâ€™t", "&Atilde;&copy;", "déjà vu”— Ó‘é’”",
]


def published_cleaning(prompt: str) -> str:
    text = html.unescape(html.unescape(ftfy.fix_text(prompt))).strip()
    return regex.sub(r"\s+", " ", text).strip()


def main() -> None:
    cases = [{"prompt": prompt, "cleaned": published_cleaning(prompt)} for prompt in CASES]
    document = {
        "made_by": f"tests/data/prompt_cleaning.py, ftfy {ftfy.__version__}, Python {sys.version.split()[0]}, "
        f"Unicode {unicodedata.unidata_version}",
        "cases": cases,
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
