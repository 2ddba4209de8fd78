// SPDX-License-Identifier: MIT
#include <siding/exception_group.hpp>

#include <siding/detail/error_report.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace siding {

struct ExceptionGroup::Content {
  std::vector<std::exception_ptr> errors;
  std::string text;
};

ExceptionGroup::ExceptionGroup(std::vector<std::exception_ptr> errors, std::string what) {
  if (errors.empty()) {
    throw std::invalid_argument("an ExceptionGroup needs at least one error");
  }
  std::string text = std::move(what);
  if (!text.empty()) text += ": ";
  text += fmt::format("{} error{}", errors.size(), errors.size() == 1 ? "" : "s");
  const char* separator = ": ";
  for (const std::exception_ptr& error : errors) {
    if (error == nullptr) throw std::invalid_argument("an ExceptionGroup was given a null error");
    text += separator;
    text += detail::describe(error);
    separator = "; ";
  }
  content_ = std::make_shared<const Content>(Content{std::move(errors), std::move(text)});
}

ExceptionGroup::~ExceptionGroup() = default;

const char* ExceptionGroup::what() const noexcept { return content_->text.c_str(); }

std::span<const std::exception_ptr> ExceptionGroup::errors() const noexcept {
  return content_->errors;
}

void ExceptionGroup::visit(const std::function<void(const std::exception_ptr&)>& call) const {
  for (const std::exception_ptr& error : content_->errors) {
    bool is_group = false;
    try {
      std::rethrow_exception(error);
    } catch (const ExceptionGroup& group) {
      is_group = true;
      group.visit(call);
    } catch (...) {
    }
    if (!is_group) call(error);
  }
}

}  // namespace siding
