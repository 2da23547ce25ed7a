#include "models/kernels/lt_product.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <cstring>
#include <map>
#include <mutex>

namespace flashblock {
namespace {

static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(LtChoice::algorithm));

/// Functions of the library that LibTorch has loaded; the program itself is not linked with it.
struct Library {
  template <typename Function>
  static Function* find(const char* name) {
    return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
  }
#define FLASHBLOCK_LT_FUNCTION(name) decltype(::name)* name = find<decltype(::name)>(#name)
  FLASHBLOCK_LT_FUNCTION(cublasLtGetVersion);
  FLASHBLOCK_LT_FUNCTION(cublasLtCreate);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmul);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulAlgoCheck);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulAlgoGetHeuristic);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulDescInit_internal);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulDescSetAttribute);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatrixLayoutInit_internal);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulPreferenceInit_internal);
  FLASHBLOCK_LT_FUNCTION(cublasLtMatmulPreferenceSetAttribute);
#undef FLASHBLOCK_LT_FUNCTION
  bool found() const {
    return cublasLtGetVersion && cublasLtCreate && cublasLtMatmul && cublasLtMatmulAlgoCheck &&
           cublasLtMatmulAlgoGetHeuristic && cublasLtMatmulDescInit_internal && cublasLtMatmulDescSetAttribute &&
           cublasLtMatrixLayoutInit_internal && cublasLtMatmulPreferenceInit_internal &&
           cublasLtMatmulPreferenceSetAttribute;
  }
};

const Library& library() {
  static const Library found;
  return found;
}

/// Of the current device, for as long as the program runs; null: there is none.
cublasLtHandle_t handle() {
  static std::mutex mutex;
  static std::map<int, cublasLtHandle_t> handles;
  int device = 0;
  if (!library().found() || cudaGetDevice(&device) != cudaSuccess) return nullptr;
  const std::lock_guard lock(mutex);
  const auto [entry, added] = handles.emplace(device, nullptr);
  if (added && library().cublasLtCreate(&entry->second) != CUBLAS_STATUS_SUCCESS) entry->second = nullptr;
  return entry->second;
}

/// The product as the library describes it. Its matrices have columns one after the other: out^T = weight x^T, with
/// rows of ours as columns.
class Description {
 public:
  explicit Description(const LtProduct& product) {
    const Library& lt = library();
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = product.gelu ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      return lt.cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
    };
    const auto lay_out = [&](cublasLtMatrixLayoutOpaque_t& layout, int64_t rows, int64_t columns) {
      return lt.cublasLtMatrixLayoutInit_internal(&layout, sizeof layout, CUDA_R_16BF, static_cast<uint64_t>(rows),
                                                  static_cast<uint64_t>(columns), rows) == CUBLAS_STATUS_SUCCESS;
    };
    valid = lt.cublasLtMatmulDescInit_internal(&operation, sizeof operation, CUBLAS_COMPUTE_32F, CUDA_R_32F) ==
                CUBLAS_STATUS_SUCCESS &&
            set(CUBLASLT_MATMUL_DESC_TRANSA, transposed) && set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue) &&
            set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias) && lay_out(weight, product.in, product.out_columns) &&
            lay_out(x, product.in, product.rows) && lay_out(out, product.out_columns, product.rows);
  }

  bool valid = false;
  cublasLtMatmulDescOpaque_t operation{};
  cublasLtMatrixLayoutOpaque_t weight{}, x{}, out{};
};

cublasLtMatmulAlgo_t algorithm_of(const std::array<uint64_t, 8>& words) {
  cublasLtMatmulAlgo_t algorithm;
  std::memcpy(&algorithm, words.data(), sizeof algorithm);
  return algorithm;
}

}  // namespace

int64_t lt_version() { return library().found() ? static_cast<int64_t>(library().cublasLtGetVersion()) : 0; }

std::vector<LtChoice> lt_proposals(const LtProduct& product, int most, int64_t workspace_bytes) {
  const cublasLtHandle_t lt = handle();
  Description description(product);
  cublasLtMatmulPreferenceOpaque_t preference{};
  const auto limit = static_cast<uint64_t>(workspace_bytes);
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
  int count = 0;
  if (!lt || !description.valid ||
      library().cublasLtMatmulPreferenceInit_internal(&preference, sizeof preference) != CUBLAS_STATUS_SUCCESS ||
      library().cublasLtMatmulPreferenceSetAttribute(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit,
                                                     sizeof limit) != CUBLAS_STATUS_SUCCESS ||
      library().cublasLtMatmulAlgoGetHeuristic(lt, &description.operation, &description.weight, &description.x,
                                               &description.out, &description.out, &preference, most, found.data(),
                                               &count) != CUBLAS_STATUS_SUCCESS)
    return {};
  std::vector<LtChoice> choices;
  for (int i = 0; i < count; ++i) {
    const cublasLtMatmulHeuristicResult_t& result = found[static_cast<size_t>(i)];
    if (result.state != CUBLAS_STATUS_SUCCESS) continue;
    LtChoice& choice = choices.emplace_back();
    choice.workspace_bytes = static_cast<int64_t>(result.workspaceSize);
    std::memcpy(choice.algorithm.data(), &result.algo, sizeof result.algo);
  }
  return choices;
}

std::optional<int64_t> lt_workspace(const LtProduct& product, const std::array<uint64_t, 8>& algorithm) {
  const cublasLtHandle_t lt = handle();
  Description description(product);
  if (!lt || !description.valid) return {};
  const cublasLtMatmulAlgo_t wanted = algorithm_of(algorithm);
  cublasLtMatmulHeuristicResult_t result{};
  if (library().cublasLtMatmulAlgoCheck(lt, &description.operation, &description.weight, &description.x,
                                        &description.out, &description.out, &wanted, &result) != CUBLAS_STATUS_SUCCESS)
    return {};
  return static_cast<int64_t>(result.workspaceSize);
}

bool launch_lt_product(const LtProduct& product, const LtChoice& choice, void* workspace, cudaStream_t stream) {
  const cublasLtHandle_t lt = handle();
  Description description(product);
  if (!lt || !description.valid) return false;
  const cublasLtMatmulAlgo_t algorithm = algorithm_of(choice.algorithm);
  const float one = 1, zero = 0;
  return library().cublasLtMatmul(lt, &description.operation, &one, product.weight, &description.weight, product.x,
                                  &description.x, &zero, product.out, &description.out, product.out, &description.out,
                                  &algorithm, workspace, static_cast<size_t>(choice.workspace_bytes),
                                  stream) == CUBLAS_STATUS_SUCCESS;
}

}  // namespace flashblock
