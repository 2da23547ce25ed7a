// Geometry of a block-diffusion language model, and the tokens it treats specially.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace flashblock {

/// Sizes of an SDAR model: Qwen3 with another mask.
/// Source: JetAstra/SDAR `configuration_sdar.py` and the config.json of its releases; TraDo has the same.
struct LanguageConfig {
  int64_t vocabulary = 0;  ///< rows of the embedding and of the head
  int64_t width = 0;       ///< of a token; not the width of all heads together
  int64_t layers = 0;
  int64_t heads = 0;          ///< query heads
  int64_t kv_heads = 0;       ///< heads of keys and values; `heads` is a multiple
  int64_t head_dim = 0;       ///< even
  int64_t ffn_dim = 0;        ///< width of the feed-forward
  double eps = 1e-6;          ///< of all norms
  double rope_base = 1e6;     ///< see TextRopeTable
  bool tied_head = false;     ///< the head is the embedding
  int64_t positions = 32768;  ///< tokens of the longest text that the model was trained for

  int64_t block_size = 4;           ///< tokens decoded together, unless an option says otherwise
  int64_t mask_token = 0;           ///< stands where no token has been decoded
  std::vector<int64_t> end_tokens;  ///< any of them ends a text

  int64_t group() const { return heads / kv_heads; }  ///< query heads per key/value head
  /// Throws: ConfigError naming the first impossible size.
  void validate() const;
};

/// Reads the JSON text of a published config.json; `origin` is its name in error messages. The result is valid.
/// Throws: ConfigError that names the key, for a text that is no JSON object, a missing or impossible value, and every
/// model that this program does not run: another model_type, quantisation, RoPE scaling, biases, sliding windows.
LanguageConfig language_config_from_json(const std::string& text, const std::string& origin);

/// Reads a published folder as it was downloaded: config.json; from generation_config.json, if there is one, the end
/// tokens. The block size is that in the folder's name (`-b8` to `-b64` at its end), else that of config.json, else 4.
/// Throws: WeightsError for a folder without config.json, and as language_config_from_json.
LanguageConfig read_language_config(const std::filesystem::path& folder);

/// Whether `path` is a folder whose config.json says that it is a language model which this program runs.
bool is_language_model(const std::filesystem::path& path);

/// Whether `name` is that of published sizes.
bool is_published_language_geometry(std::string_view name);

/// The published sizes: "sdar-1.7b", "sdar-4b" or "sdar-8b". Throws: ConfigError that lists them for another name.
LanguageConfig published_language_geometry(std::string_view name);

}  // namespace flashblock
