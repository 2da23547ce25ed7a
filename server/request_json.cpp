#include "server/request_json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/plain_text.h"
#include "server/api_error.h"

namespace flashblock {
namespace {

using RequestJson = nlohmann::json;

constexpr size_t kDeepest = 64;
constexpr int kTooLarge = 406;  ///< nlohmann's id of a number that no double holds

[[noreturn]] void refuse(const std::string& message, const std::string& param = "") {
  throw ApiError({400, "invalid_json", message, param});
}

/// Builds a document from the parser's events.
class DocumentBuilder {
 public:
  RequestJson take_document() { return std::move(document_); }
  /// Where the text has a number that no double holds; npos: nowhere.
  size_t too_large_end() const { return too_large_end_; }
  const std::string& too_large() const { return too_large_; }

  // What nlohmann::json::sax_parse calls.
  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(RequestJson::number_integer_t value) { return add(value); }
  bool number_unsigned(RequestJson::number_unsigned_t value) { return add(value); }
  bool number_float(RequestJson::number_float_t value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(RequestJson::binary_t&) { return false; }
  bool start_object(size_t) { return open(RequestJson::object()); }
  bool start_array(size_t) { return open(RequestJson::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    if (open_.back()->contains(name)) refuse(name + ": the key is given twice", name);
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string& token, const RequestJson::exception& error) {
    if (error.id == kTooLarge) {
      too_large_end_ = position;
      too_large_ = token;
      return false;
    }
    refuse("the body is not JSON: see its byte " + std::to_string(position));
  }

 private:
  RequestJson* place(RequestJson value) {
    if (open_.empty()) return &(document_ = std::move(value));
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::move(value));
    return &((*open_.back())[key_] = std::move(value));
  }
  bool add(RequestJson value) {
    place(std::move(value));
    return true;
  }
  bool open(RequestJson value) {
    if (open_.size() == kDeepest) refuse("the body is nested too deeply");
    open_.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  RequestJson document_;
  std::vector<RequestJson*> open_;  ///< arrays and objects that have not ended, outermost first
  std::string key_;
  size_t too_large_end_ = std::string::npos;
  std::string too_large_;
};

}  // namespace

nlohmann::json parse_request_json(const std::string& text) {
  if (const std::string fault = text_fault(text); !fault.empty()) refuse("the body " + fault);
  constexpr int kMostReplaced = 16;
  std::string readable = text;
  for (int i = 0; i < kMostReplaced; ++i) {
    DocumentBuilder builder;
    if (RequestJson::sax_parse(readable, &builder)) return builder.take_document();
    const std::string& number = builder.too_large();
    const std::string largest = number.starts_with('-') ? "-1e308" : "1e308";
    const size_t end = builder.too_large_end();
    if (number.empty() || end > readable.size() || end < number.size()) break;
    const size_t begin = readable.rfind(number, end - number.size());
    if (begin == std::string::npos) break;
    readable.replace(begin, number.size(), largest);
  }
  refuse("the body has numbers that are too large");
}

}  // namespace flashblock
