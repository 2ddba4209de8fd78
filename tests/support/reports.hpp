// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/error_report.hpp>
#include <siding/error_report.hpp>
#include <siding/event_loop.hpp>

#include <string>
#include <vector>

namespace siding_test {

/// What a loop's exception handler was told.
struct Report {
  std::string message;
  std::string error;   // "type: text"
  std::string source;  // the name of the task or future; empty if there is none
};

/// Keeps what the exception handler of `loop` is told. Loop thread.
class Reports {
 public:
  explicit Reports(siding::EventLoop& loop) {
    loop.set_exception_handler([this](const siding::ErrorReport& report) {
      all_.push_back({std::string(report.message), siding::detail::describe(report.error),
                      report.source.valid() ? report.source.name() : std::string()});
    });
  }
  Reports(const Reports&) = delete;
  Reports& operator=(const Reports&) = delete;

  const std::vector<Report>& all() const { return all_; }
  std::size_t size() const { return all_.size(); }
  const Report& operator[](std::size_t index) const { return all_.at(index); }

 private:
  std::vector<Report> all_;
};

}  // namespace siding_test
