// SPDX-License-Identifier: MIT
#include <siding/detail/carried_variables.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>

namespace siding::detail {

namespace {

using Values = std::vector<std::pair<std::string, std::vector<std::byte>>>;

struct Registry {
  std::mutex mutex;
  std::vector<CarriedVariable> variables;  // guarded by mutex
};

// How many there are, so that calls look no further where there is none. relaxed: who makes a variable and
// then a call sees its own.
constinit std::atomic<std::size_t> carried_count{0};

// Never destroyed: variables with static storage duration may go after it.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

}  // namespace

CarriedRegistration::CarriedRegistration(CarriedVariable variable) : number_(variable.number) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const CarriedVariable& other : all.variables) {
    if (other.name == variable.name) {
      throw std::invalid_argument(fmt::format(
          "two context variables that are carried to processes are called {}: a worker tells them apart "
          "by their names, so give them different ones",
          variable.name));
    }
  }
  all.variables.push_back(std::move(variable));
  carried_count.store(all.variables.size(), std::memory_order_relaxed);
}

CarriedRegistration::~CarriedRegistration() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.variables, [this](const auto& each) { return each.number == number_; });
  carried_count.store(all.variables.size(), std::memory_order_relaxed);
}

std::vector<std::byte> write_carried(const Variables& variables) {
  if (carried_count.load(std::memory_order_relaxed) == 0 || variables.same_as(Variables())) return {};
  Values values;
  std::vector<CarriedVariable> known;
  {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    known = all.variables;  // the hooks are called without the lock
  }
  for (CarriedVariable& variable : known) {
    const Variables::Value value = variables.find(variable.number);
    if (value != nullptr) {
      values.emplace_back(std::move(variable.name), variable.write(value.get()));
    }
  }
  return values.empty() ? std::vector<std::byte>() : to_wire(values);
}

Variables read_carried(std::span<const std::byte> bytes) {
  const auto values = from_wire<Values>(bytes);
  std::vector<CarriedVariable> known;
  {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    known = all.variables;
  }
  Variables variables;
  for (const auto& [name, value] : values) {
    for (const CarriedVariable& variable : known) {
      if (variable.name == name) variables.set(variable.number, variable.read(value));
    }
  }
  return variables;
}

}  // namespace siding::detail
