// Which algorithm of cuBLASLt computes a linear: a table by GPU, version of the library and shape, kept in the source
// tree (product_table.txt). It is looked up, never measured, while a video is made: the same video has the same bits.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/model_config.h"

namespace flashblock {

/// What follows a product: the bias, or the bias and GELU in its tanh form.
enum class ProductEpilogue { kBias, kGelu };

/// x weight^T: x [rows, in], weight [out, in].
struct ProductShape {
  ProductEpilogue epilogue = ProductEpilogue::kBias;
  int64_t rows = 0, in = 0, out = 0;

  auto operator<=>(const ProductShape&) const = default;
};

/// An algorithm as cuBLASLt serializes it, valid in one version of it.
using ProductAlgorithm = std::array<uint64_t, 8>;

struct ProductRow {
  std::string gpu;      ///< as the driver names it
  int64_t library = 0;  ///< version of cuBLASLt
  ProductShape shape;
  int64_t workspace_bytes = 0;
  ProductAlgorithm algorithm{};
  double microseconds = 0, microseconds_without = 0;  ///< for readers
};

/// Rows by GPU, library and shape. Text: a row a line, fields separated by `|`; # begins a comment.
class ProductTable {
 public:
  ProductTable() = default;
  /// Throws: ConfigError for a line that is no row, or a second one for a product; `name` is what the text is called.
  ProductTable(std::string_view text, const std::string& name);

  /// Null: there is no row.
  const ProductRow* find(const std::string& gpu, int64_t library, const ProductShape& shape) const;
  const std::vector<ProductRow>& rows() const { return rows_; }

 private:
  std::vector<ProductRow> rows_;
};

/// The row as a line of the table, without a line end.
std::string product_line(const ProductRow& row);

/// The table in the source tree.
const ProductTable& built_in_product_table();

/// The products of a layer in a pass over `tokens` tokens, each once.
std::vector<ProductShape> layer_products(const TransformerConfig& config, int64_t tokens);

}  // namespace flashblock
