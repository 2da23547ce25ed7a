// The tokenizer of the tests: what the strings of tests/data/language_tokenizer.json need of the published one.
#pragma once

#include "language/byte_pair_tokenizer.h"

namespace flashblock::testing {

const BytePairTokenizer& test_tokenizer();

}  // namespace flashblock::testing
