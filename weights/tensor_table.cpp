#include "weights/tensor_table.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include "core/check.h"
#include "core/error.h"
#include "core/mapped_file.h"
#include "weights/finite_values.h"

namespace flashblock {
namespace {

constexpr size_t kListedFaults = 20;

std::string text_of(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

void release(const at::Tensor& read) {
  if (!read.is_contiguous()) return;
  MappedFile::release({static_cast<const std::byte*>(read.const_data_ptr()), read.nbytes()});
}

}  // namespace

std::string join_faults(const std::vector<std::string>& faults) {
  std::string text;
  for (size_t i = 0; i < std::min(faults.size(), kListedFaults); ++i) text += (i ? "; " : "") + faults[i];
  if (faults.size() > kListedFaults) text += "; and " + std::to_string(faults.size() - kListedFaults) + " more";
  return text;
}

void check_finite(const WeightStore& store, const std::string& name, const at::Tensor& read) {
  if (all_finite(read)) return;
  throw WeightsError(store.path().string() + ": '" + name +
                     "' has numbers that are not finite; the file is damaged, or its training diverged: take another "
                     "release or checkpoint");
}

void TensorTable::add(std::string name, std::vector<int64_t> shape, at::Tensor& target,
                      std::optional<at::ScalarType> keep) {
  rows_.push_back({std::move(name), std::move(shape), &target, keep});
}

void TensorTable::add_part(std::string name, std::vector<int64_t> shape, at::Tensor& whole, int64_t first_row,
                           int64_t rows) {
  rows_.push_back({std::move(name), std::move(shape), &whole, {}, first_row, rows});
}

std::vector<std::string> TensorTable::faults(const WeightStore& store,
                                             const std::vector<std::string>& ignored_prefixes) const {
  std::vector<std::string> missing, others;
  std::set<std::string> wanted;
  for (const Row& row : rows_) {
    FB_CHECK(wanted.insert(row.name).second, "the tensor '", row.name, "' is declared twice");
    if (!store.contains(row.name)) {
      missing.push_back("missing '" + row.name + "' " + text_of(row.shape));
      continue;
    }
    const std::vector<int64_t> shape = store.shape(row.name);
    if (shape != row.shape)
      others.push_back("'" + row.name + "' has the shape " + text_of(shape) + ", wanted " + text_of(row.shape));
    else if (!at::isFloatingType(store.dtype(row.name)))
      others.push_back("'" + row.name + "' has the dtype " + toString(store.dtype(row.name)) +
                       ", wanted a floating-point type");
  }
  for (const std::string& name : store.names()) {
    const auto ignored = [&](const std::string& prefix) { return name.compare(0, prefix.size(), prefix) == 0; };
    if (!wanted.count(name) && std::none_of(ignored_prefixes.begin(), ignored_prefixes.end(), ignored))
      others.push_back("unexpected '" + name + "' " + text_of(store.shape(name)));
  }
  missing.insert(missing.end(), others.begin(), others.end());
  return missing;
}

void TensorTable::check(const WeightStore& store, const std::vector<std::string>& ignored_prefixes) const {
  if (const auto found = faults(store, ignored_prefixes); !found.empty()) {
    const std::string entry = store.entry().empty() ? "" : " (" + store.entry() + ")";
    throw WeightsError(store.path().string() + entry + ": " + std::to_string(found.size()) +
                       (found.size() == 1 ? " tensor does" : " tensors do") +
                       " not fit the model: " + join_faults(found) + "; check that the file belongs to this component");
  }
}

void TensorTable::fill(const WeightStore& store, at::Device device, at::ScalarType dtype) const {
  for (const Row& row : rows_) {
    const at::Tensor read = store.tensor(row.name);
    check_finite(store, row.name, read);
    if (row.rows_of_whole > 0) {
      std::vector<int64_t> shape = row.shape;
      shape[0] = row.rows_of_whole;
      if (row.first_row == 0) *row.target = at::empty(shape, at::TensorOptions().device(device).dtype(dtype));
      row.target->narrow(0, row.first_row, row.shape[0]).copy_(read);
    } else {
      *row.target = read.to(device, row.keep.value_or(dtype)).contiguous();
    }
    if (!row.target->is_alias_of(read)) release(read);
  }
}

void TensorTable::load(const WeightStore& store, at::Device device, at::ScalarType dtype,
                       const std::vector<std::string>& ignored_prefixes) const {
  check(store, ignored_prefixes);
  fill(store, device, dtype);
}

}  // namespace flashblock
