// SPDX-License-Identifier: MIT
// expect: needs siding_fields, a specialisation of siding::Wire, or a constructor
#include <siding/register_error.hpp>

#include <exception>
#include <string>

class ParseError : public std::exception {
 public:
#ifdef SIDING_GOOD
  explicit ParseError(const std::string& text) : text_(text) {}
#else
  explicit ParseError(int line) : text_(std::to_string(line)) {}
#endif
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

inline const siding::RegisterError<ParseError> parse_error_crosses{};
