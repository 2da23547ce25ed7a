#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "analysis/heat_map.h"
#include "analysis/html_page.h"
#include "analysis/line_chart.h"

namespace flashblock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HtmlTest, NothingInTextIsMarkup) {
  EXPECT_EQ(html_escape("<b title=\"x\" id='y'>&amp;"), "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;");
  EXPECT_EQ(html_escape("schöne Hügel"), "schöne Hügel");
  const std::string page = html_page("</title><script>alert(1)</script>", "<p>body</p>");
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("<p>body</p>"));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(HtmlTest, DataUrisAreBase64) {
  // RFC 4648, section 10.
  EXPECT_EQ(data_uri("a/b", ""), "data:a/b;base64,");
  EXPECT_EQ(data_uri("a/b", "f"), "data:a/b;base64,Zg==");
  EXPECT_EQ(data_uri("a/b", "fo"), "data:a/b;base64,Zm8=");
  EXPECT_EQ(data_uri("a/b", "foo"), "data:a/b;base64,Zm9v");
  EXPECT_EQ(data_uri("a/b", "foobar"), "data:a/b;base64,Zm9vYmFy");
  EXPECT_EQ(data_uri("a/b", "\xff\xfe\xfd"), "data:a/b;base64,//79");
}

TEST(HtmlTest, NumbersAsTheyAreRead) {
  EXPECT_EQ(number_text(1.25, 1), "1.2");
  EXPECT_EQ(number_text(-3.14159, 2), "−3.14");
  EXPECT_EQ(number_text(-0.001, 2), "0.00");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN(), 2), "–");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity(), 2), "∞");
}

TEST(LineChartTest, TicksAreRound) {
  EXPECT_THAT(axis_ticks(0, 60, 6), ElementsAre(0, 10, 20, 30, 40, 50, 60));
  EXPECT_THAT(axis_ticks(31.2, 52.9, 5), ElementsAre(30, 35, 40, 45, 50, 55));
  EXPECT_THAT(axis_ticks(-0.5, 0.5, 2), ElementsAre(-0.5, 0, 0.5));
}

TEST(LineChartTest, DrawsValuesWhereTheyBelongAndGapsWhereThereAreNone) {
  const double none = std::numeric_limits<double>::infinity();
  const std::string svg = line_chart({.title = "a < b",
                                      .x = {0, 5, 10, 15},
                                      .x_end = 20,
                                      .series = {{.name = "\"one\"", .kind = "k1", .values = {0, 10, none, 5}}}});
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr("data-name=\"&quot;one&quot;\""));
  EXPECT_THAT(svg, HasSubstr("d=\"M0.0 1000.0L250.0 0.0M750.0 500.0\"")) << "from bottom to top, a gap, the middle";
}

TEST(HeatMapTest, DepthFollowsTheValue) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::string html = heat_map({.title = "a < b",
                                     .row_name = "layer",
                                     .column_name = "head",
                                     .values = {{0.5, 0.75}, {1.5, none}},
                                     .low = 0.5,
                                     .high = 1});
  EXPECT_THAT(html, HasSubstr("a &lt; b"));
  EXPECT_THAT(html, HasSubstr("--d:0%\" title=\"layer 0, head 0: 0.50\""));
  EXPECT_THAT(html, HasSubstr("--d:50%\" title=\"layer 0, head 1: 0.75\""));
  EXPECT_THAT(html, HasSubstr("--d:100%\" title=\"layer 1, head 0: 1.50\"")) << "beyond the scale";
  EXPECT_THAT(html, HasSubstr("title=\"layer 1, head 1: nothing to compute\""));
}

TEST(LineChartTest, LevelAndEmptySeriesAreDrawnToo) {
  EXPECT_THAT(line_chart({.title = "level", .x = {0, 1}, .series = {{"a", "k1", {3, 3}}}}), HasSubstr("L1000.0"));
  EXPECT_THAT(line_chart({.title = "none", .x = {0, 1}, .series = {}}), HasSubstr("<svg"));
}

}  // namespace
}  // namespace flashblock
