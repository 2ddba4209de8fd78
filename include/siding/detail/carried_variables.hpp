// SPDX-License-Identifier: MIT
#pragma once

#include <siding/detail/variables.hpp>
#include <siding/export.hpp>
#include <siding/wire.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Context variables that calls in other processes see. A process knows a variable by its name, since
// numbers depend on the order in which variables were made.

namespace siding::detail {

/// How the values of one variable cross.
struct CarriedVariable {
  std::uint64_t number;
  std::string name;
  std::vector<std::byte> (*write)(const void* value);
  Variables::Value (*read)(std::span<const std::byte> bytes);
};

template <class T>
CarriedVariable carried_variable(std::uint64_t number, std::string name) {
  return {number, std::move(name),
          [](const void* value) { return to_wire(*static_cast<const T*>(value)); },
          [](std::span<const std::byte> bytes) -> Variables::Value {
            return std::make_shared<const T>(from_wire<T>(bytes));
          }};
}

/// Has a variable carried while it lives. Any thread.
class SIDING_EXPORT CarriedRegistration {
 public:
  /// Throws std::invalid_argument if another one has its name.
  explicit CarriedRegistration(CarriedVariable variable);
  ~CarriedRegistration();
  CarriedRegistration(const CarriedRegistration&) = delete;
  CarriedRegistration& operator=(const CarriedRegistration&) = delete;

 private:
  const std::uint64_t number_;
};

/// The values that a call takes along; empty for most. Throws what a hook throws. Any thread.
std::vector<std::byte> write_carried(const Variables& variables);
/// What they are in the worker. Names that this process does not know are left out. Throws
/// what a hook throws, and SerializationError.
Variables read_carried(std::span<const std::byte> bytes);

}  // namespace siding::detail
