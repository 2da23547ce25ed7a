// Every reader of files that come from elsewhere, as a function of the file's bytes. A reader may refuse (Error); it
// must not crash, hang, read outside the file or ask for memory that the file does not pay for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace flashblock::fuzz {

using Bytes = std::span<const uint8_t>;

void safetensors(Bytes file);        ///< core/safetensors_reader
void gguf(Bytes file);               ///< weights/gguf_reader
void zip(Bytes file);                ///< core/zip_archive, and the whole torch.save container above it
void pickle(Bytes pickle);           ///< core/unpickler, inside a sound container with one storage of 64 bytes
void shard_index(Bytes index);       ///< core/checkpoint_files, beside two sound shards
void config_json(Bytes file);        ///< models/model_config, the text of a config.json
void model_yaml(Bytes file);         ///< app/strict_yaml and app/model_file
void lora(Bytes file);               ///< models/lora, an adapter in safetensors or a torch.save container
void adapter_config(Bytes file);     ///< models/lora, the text of an adapter_config.json
void info(Bytes file);               ///< pipeline/checkpoint_info, weights in safetensors or a torch.save container
void lora_header(Bytes text);        ///< models/lora_strength, the text of a header's lora_adapter_metadata
void image_orientation(Bytes file);  ///< media/orientation, the EXIF data of a PNG or JPEG; FFmpeg decodes the rest
void prompt_text(Bytes prompt);      ///< models/text_cleaning; the tokenizer behind it is sentencepiece's
void prompt_list(Bytes list);        ///< batch/prompt_list, as CSV, TSV and lines, and the jobs made of it
void http_request(Bytes bytes);      ///< server/connection and what answers by a request's headers: what a client sends
void request_json(Bytes body);       ///< server/request_json
void form(Bytes body);               ///< server/form_data, with the boundary x
void plain_text(Bytes text);         ///< core/plain_text: what counts as text, and what messages make of the rest

struct Target {
  const char* name;  ///< also of its folder in corpus/
  void (*run)(Bytes);
};
inline constexpr std::array kTargets = {
    Target{"safetensors", safetensors},
    Target{"gguf", gguf},
    Target{"zip", zip},
    Target{"pickle", pickle},
    Target{"shard_index", shard_index},
    Target{"config_json", config_json},
    Target{"model_yaml", model_yaml},
    Target{"lora", lora},
    Target{"adapter_config", adapter_config},
    Target{"info", info},
    Target{"lora_header", lora_header},
    Target{"image_orientation", image_orientation},
    Target{"prompt_text", prompt_text},
    Target{"prompt_list", prompt_list},
    Target{"http_request", http_request},
    Target{"request_json", request_json},
    Target{"form", form},
    Target{"plain_text", plain_text},
};

}  // namespace flashblock::fuzz
