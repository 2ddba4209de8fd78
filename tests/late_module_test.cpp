// SPDX-License-Identifier: MIT
// Functions of a module that was loaded after the program's start: workers do not have it.
#include <siding/siding.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "support/process_pool_subject.hpp"

namespace siding_test::late_module_test {
namespace {

using Function = int (*)(int);

Function load() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string module = program.parent_path() / "late_module.so";
  void* loaded = ::dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) throw std::runtime_error(::dlerror());
  return reinterpret_cast<Function>(::dlsym(loaded, "late_square"));
}

int load_and_call(int n) { return load()(n); }
int call(Function function, int n) { return function(n); }

constexpr char reason[] = "of type int (*)(int) lives in ";
constexpr char place[] = "/late_module.so, which was loaded after the program's start";

TEST_SUITE("a module that was loaded late") {
  TEST_CASE("its functions are refused at the call, with where they are and what to do") {
    const PoolSubject pool(1);
    const Function late = load();
    CHECK(late(3) == 9);

    CHECK_THROWS_WITH_AS(value_of(pool->submit(late, 3)), doctest::Contains(reason),
                         siding::NotPortable);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(call, late, 3)), doctest::Contains(place),
                         siding::NotPortable);
    CHECK_THROWS_WITH_AS(value_of(pool->submit(call, late, 3)), doctest::Contains("Link it"),
                         siding::NotPortable);
  }

  TEST_CASE("functions of the program and of what it is linked with go on crossing") {
    const PoolSubject pool(1);
    load();
    CHECK(value_of(pool->submit(call, static_cast<Function>(&std::abs), -3)) == 3);
  }

  TEST_CASE("a function of the program may load it in the worker") {
    const PoolSubject pool(1);
    CHECK(value_of(pool->submit(load_and_call, 4)) == 16);
  }

  TEST_CASE("a worker that lacks a module says what to do") {
    const siding::detail::CodeId nowhere{42, 0};
    CHECK_THROWS_WITH_AS((void)siding::detail::code_at(nowhere),
                         doctest::Contains("have only what the program is linked with"),
                         siding::SerializationError);
  }
}

}  // namespace
}  // namespace siding_test::late_module_test
