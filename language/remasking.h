// Which places of a block are decoded in a pass: the published remasking rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace flashblock {

/// Rule by which the places to decode are chosen. Source: JetAstra/SDAR generate.py; the entropy rule is the engine's.
enum class Remasking {
  kLowConfidenceStatic,   ///< the `wanted` most confident places
  kLowConfidenceDynamic,  ///< all above the threshold if these are at least `wanted`, else the `wanted` most confident
  kSequential,            ///< the first `wanted` places
  kEntropyBounded,        ///< by rising entropy while the sum of the entropies stays below the bound; at least one
};

/// Throws: ConfigError that names the value found and all values possible.
Remasking parse_remasking(std::string_view name);
std::string to_string(Remasking rule);

/// A place of the block that is masked.
struct OpenPlace {
  int64_t place = 0;     ///< in the block
  float confidence = 0;  ///< probability of its token in the unfiltered distribution
  float entropy = 0;     ///< of that distribution, natural log
};

/// A rule with its parameters.
struct RemaskingRule {
  Remasking rule = Remasking::kLowConfidenceDynamic;
  double threshold = 0.9;       ///< of kLowConfidenceDynamic
  double entropy_bound = 0.35;  ///< of kEntropyBounded
};

/// Places that a pass should decode: block_size / steps, and one more in each of the first block_size % steps passes;
/// one in passes beyond `steps`.
int64_t wanted_places(int64_t block_size, int64_t steps, int64_t step);

/// The places to decode, ascending: at least one, never more than there are open. Of equal places the first one is
/// taken. Requires: an open place; `wanted` >= 1.
std::vector<int64_t> places_to_decode(const RemaskingRule& rule, const std::vector<OpenPlace>& open, int64_t wanted);

}  // namespace flashblock
