#include "language/remasking.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "core/unknown_name.h"

namespace flashblock {
namespace {

constexpr std::array<std::pair<Remasking, std::string_view>, 4> kRules{{
    {Remasking::kLowConfidenceStatic, "low_confidence_static"},
    {Remasking::kLowConfidenceDynamic, "low_confidence_dynamic"},
    {Remasking::kSequential, "sequential"},
    {Remasking::kEntropyBounded, "entropy_bounded"},
}};

// How many of the places, in order of rising entropy, stay below the bound together.
size_t within_bound(const std::vector<OpenPlace>& ordered, double bound) {
  double sum = 0;
  size_t count = 0;
  while (count < ordered.size() && (sum += double(ordered[count].entropy)) < bound) ++count;
  return std::max<size_t>(count, 1);
}

}  // namespace

Remasking parse_remasking(std::string_view found) {
  std::string possible;
  for (const auto& [rule, name] : kRules) {
    if (name == found) return rule;
    possible += (possible.empty() ? "" : ", ") + std::string(name);
  }
  throw unknown_name("remasking rule", found, possible);
}

std::string to_string(Remasking wanted) {
  for (const auto& [rule, name] : kRules)
    if (rule == wanted) return std::string(name);
  FB_CHECK(false, "unnamed rule");
  return {};
}

int64_t wanted_places(int64_t block_size, int64_t steps, int64_t step) {
  if (step >= steps) return 1;
  return std::max<int64_t>(1, block_size / steps + (step < block_size % steps ? 1 : 0));
}

std::vector<int64_t> places_to_decode(const RemaskingRule& rule, const std::vector<OpenPlace>& open, int64_t wanted) {
  FB_CHECK(!open.empty() && wanted >= 1, open.size(), " open places, ", wanted, " wanted");
  std::vector<OpenPlace> ordered = open;
  size_t count = std::min(static_cast<size_t>(wanted), open.size());
  switch (rule.rule) {
    case Remasking::kSequential:
      std::ranges::stable_sort(ordered, {}, &OpenPlace::place);
      break;
    case Remasking::kLowConfidenceStatic:
    case Remasking::kLowConfidenceDynamic:
      std::ranges::stable_sort(ordered, std::ranges::greater(), &OpenPlace::confidence);
      if (rule.rule == Remasking::kLowConfidenceDynamic) {
        const auto sure = std::ranges::count_if(
            ordered, [&](const OpenPlace& place) { return double(place.confidence) > rule.threshold; });
        count = std::max(count, static_cast<size_t>(sure));
      }
      break;
    case Remasking::kEntropyBounded:
      std::ranges::stable_sort(ordered, {}, &OpenPlace::entropy);
      count = within_bound(ordered, rule.entropy_bound);
      break;
  }
  std::vector<int64_t> places;
  for (size_t i = 0; i < count; ++i) places.push_back(ordered[i].place);
  std::ranges::sort(places);
  return places;
}

}  // namespace flashblock
