// SPDX-License-Identifier: MIT
#pragma once

#include <siding/export.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace siding {

/// Several errors that came out of one scope, such as a task group. Groups may hold groups.
///
/// Source: Python's `ExceptionGroup`; `except*` is `for_each`, `filter` and `split` here.
/// Thread safety: distinct objects: safe. Shared objects: safe to read. Copies share the errors.
class SIDING_EXPORT ExceptionGroup : public std::exception {
 public:
  /// `what` opens the text, which lists all errors. Throws std::invalid_argument if there is no error,
  /// or a null one.
  explicit ExceptionGroup(std::vector<std::exception_ptr> errors, std::string what = {});
  ExceptionGroup(const ExceptionGroup&) noexcept = default;
  ExceptionGroup& operator=(const ExceptionGroup&) noexcept = default;
  ~ExceptionGroup() override;

  const char* what() const noexcept override;
  /// In the order in which they came; a group in it counts as one.
  [[nodiscard]] std::span<const std::exception_ptr> errors() const noexcept;

  /// Whether an error of type `E`, or of a type derived from it, is in it, at any depth.
  template <class E>
  [[nodiscard]] bool contains() const {
    bool found = false;
    for_each<E>([&found](const E&) { found = true; });
    return found;
  }

  /// Calls `call` with each error of type `E`, or of a type derived from it, at any depth.
  template <class E, std::invocable<const E&> Call>
  void for_each(Call call) const {
    visit([&call](const std::exception_ptr& error) {
      try {
        std::rethrow_exception(error);
      } catch (const E& wanted) {
        std::invoke(call, wanted);
      } catch (...) {
      }
    });
  }

  /// The errors of type `E`, at any depth, and all others. Groups are taken apart.
  template <class E>
  [[nodiscard]] std::pair<std::vector<std::exception_ptr>, std::vector<std::exception_ptr>> split()
      const {
    std::pair<std::vector<std::exception_ptr>, std::vector<std::exception_ptr>> parts;
    visit([&parts](const std::exception_ptr& error) {
      bool wanted = false;
      try {
        std::rethrow_exception(error);
      } catch (const E&) {
        wanted = true;
      } catch (...) {
      }
      (wanted ? parts.first : parts.second).push_back(error);
    });
    return parts;
  }

  /// The errors of type `E`, at any depth.
  template <class E>
  [[nodiscard]] std::vector<std::exception_ptr> filter() const {
    return split<E>().first;
  }

 private:
  struct Content;

  // Every error that is no group itself, at any depth.
  void visit(const std::function<void(const std::exception_ptr&)>& call) const;

  std::shared_ptr<const Content> content_;  // copying an exception must not throw
};

}  // namespace siding
