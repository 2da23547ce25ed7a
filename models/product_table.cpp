#include "models/product_table.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "core/error.h"

namespace flashblock {

std::string_view product_table_text();  // embedded_files.cpp

namespace {

constexpr size_t kFields = 7;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    if (const std::string_view part = trimmed(text.substr(begin, end - begin)); separator != ' ' || !part.empty())
      parts.push_back(part);
    begin = end + 1;
  }
  return parts;
}

/// The numbers of a field, exactly `count`. False: it has other ones.
template <typename T, typename... Format>
bool read_numbers(std::string_view field, T* numbers, size_t count, Format... format) {
  const std::vector<std::string_view> words = split(field, ' ');
  if (words.size() != count) return false;
  return std::ranges::all_of(words, [&](std::string_view word) {
    const auto read = std::from_chars(word.data(), word.data() + word.size(), *numbers++, format...);
    return read.ec == std::errc() && read.ptr == word.data() + word.size();
  });
}

bool read_row(std::string_view line, ProductRow& row) {
  const std::vector<std::string_view> fields = split(line, '|');
  if (fields.size() != kFields || fields[0].empty()) return false;
  row.gpu = fields[0];
  if (fields[2] != "bias" && fields[2] != "gelu") return false;
  row.shape.epilogue = fields[2] == "gelu" ? ProductEpilogue::kGelu : ProductEpilogue::kBias;
  std::array<int64_t, 3> sizes{};
  std::array<double, 2> times{};
  const bool read = read_numbers(fields[1], &row.library, 1) && read_numbers(fields[3], sizes.data(), sizes.size()) &&
                    read_numbers(fields[4], &row.workspace_bytes, 1) &&
                    read_numbers(fields[5], row.algorithm.data(), row.algorithm.size(), 16) &&
                    read_numbers(fields[6], times.data(), times.size());
  row.shape.rows = sizes[0];
  row.shape.in = sizes[1];
  row.shape.out = sizes[2];
  row.microseconds = times[0];
  row.microseconds_without = times[1];
  return read && *std::ranges::min_element(sizes) > 0 && row.workspace_bytes >= 0;
}

}  // namespace

ProductTable::ProductTable(std::string_view text, const std::string& name) {
  int64_t number = 0;
  for (const std::string_view whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trimmed(whole.substr(0, whole.find('#')));
    if (line.empty()) continue;
    const std::string where = name + ":" + std::to_string(number) + ": ";
    ProductRow row;
    if (!read_row(line, row))
      throw ConfigError(where + "found '" + std::string(line) +
                        "', wanted GPU | cuBLASLt | bias or gelu | rows in out | workspace | 8 words | 2 times");
    if (find(row.gpu, row.library, row.shape)) throw ConfigError(where + "a second row for this product");
    rows_.push_back(std::move(row));
  }
}

const ProductRow* ProductTable::find(const std::string& gpu, int64_t library, const ProductShape& shape) const {
  const auto found = std::ranges::find_if(
      rows_, [&](const ProductRow& row) { return row.gpu == gpu && row.library == library && row.shape == shape; });
  return found == rows_.end() ? nullptr : &*found;
}

std::string product_line(const ProductRow& row) {
  const ProductShape& shape = row.shape;
  std::string line = row.gpu + " | " + std::to_string(row.library) +
                     (shape.epilogue == ProductEpilogue::kGelu ? " | gelu | " : " | bias | ") +
                     std::to_string(shape.rows) + " " + std::to_string(shape.in) + " " + std::to_string(shape.out) +
                     " | " + std::to_string(row.workspace_bytes) + " |";
  char text[64];
  for (const uint64_t word : row.algorithm) {
    std::snprintf(text, sizeof text, " %llx", static_cast<unsigned long long>(word));
    line += text;
  }
  std::snprintf(text, sizeof text, " | %.1f %.1f", row.microseconds, row.microseconds_without);
  return line + text;
}

const ProductTable& built_in_product_table() {
  static const ProductTable table(product_table_text(), "models/product_table.txt");
  return table;
}

std::vector<ProductShape> layer_products(const TransformerConfig& config, int64_t tokens) {
  const auto bias = [&](int64_t in, int64_t out) { return ProductShape{.rows = tokens, .in = in, .out = out}; };
  ProductShape up = bias(config.dim, config.ffn_dim);
  up.epilogue = ProductEpilogue::kGelu;
  return {bias(config.dim, 3 * config.dim), bias(config.dim, config.dim), up, bias(config.ffn_dim, config.dim)};
}

}  // namespace flashblock
