// Linears in bfloat16 on a GPU by the algorithm that the table of products names.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
#include <vector>

#include "models/product_table.h"
#include "models/transformer_weights.h"

namespace flashblock {

/// The first row for a product that `usable` accepts. Null: there is none.
const ProductRow* choose_product(const ProductTable& table, const std::string& gpu, int64_t library,
                                 const ProductShape& shape, const std::function<bool(const ProductRow&)>& usable);

/// x weight^T + bias, perhaps with GELU, if the table has a row for it that the library takes; else undefined, and the
/// heuristics of LibTorch's operators choose. A row that is refused once is not tried again.
/// Shape: x [..., in], contiguous. Thread safety: any.
at::Tensor planned_product(const at::Tensor& x, const Linear& layer, ProductEpilogue epilogue);

/// Replaces the table of the source tree in this process, for measurements. Before the first product.
void use_product_table(ProductTable table);

/// Rows for a device, of the table in use.
int64_t planned_products(at::Device device);

/// Times the algorithms that cuBLASLt proposes for each product, some seconds each, and gives the fastest one where it
/// is faster than the first proposal, which LibTorch's operators would use. `report` receives each result.
/// Throws: ConfigError for a device without cuBLASLt.
std::vector<ProductRow> tune_products(const std::vector<ProductShape>& products, at::Device device,
                                      const std::function<void(const ProductRow& fastest, bool kept)>& report);

}  // namespace flashblock
