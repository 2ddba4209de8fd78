// SPDX-License-Identifier: MIT
#include <siding/detail/code_identity.hpp>

#include <siding/error.hpp>

#include <doctest/doctest.h>

#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace siding_test::code_identity_test {
namespace {

using siding::NotPortable;
using siding::SerializationError;
using siding::detail::code_at;
using siding::detail::code_id_of;
using siding::detail::CodeId;

template <class Function>
const void* address_of(Function* function) {
  return reinterpret_cast<const void*>(function);
}

int twice(int number) { return 2 * number; }
template <int n>
int times(int number) {
  return n * number;
}

TEST_SUITE("CodeId") {
  TEST_CASE("a function of the program is found again by its identity") {
    const CodeId id = code_id_of(address_of(&twice));
    CHECK(code_at(id) == address_of(&twice));
    CHECK(code_at(code_id_of(address_of(&times<3>))) == address_of(&times<3>));

    CHECK(id.module == code_id_of(address_of(&times<3>)).module);
    CHECK(id != code_id_of(address_of(&times<3>)));
    CHECK(code_id_of(address_of(&twice)) == id);
    const auto function = reinterpret_cast<int (*)(int)>(const_cast<void*>(code_at(id)));
    CHECK(function(4) == 8);
  }

  TEST_CASE("a function of another shared object is found again by its identity") {
    CHECK(code_at(code_id_of(address_of(&std::atoi))) == address_of(&std::atoi));
    // One that no sanitizer replaces by its own in the program.
    const void* found = ::dlsym(RTLD_DEFAULT, "getppid");
    if (found == nullptr) return;  // a static program has no other objects
    const CodeId id = code_id_of(found);
    CHECK(code_at(id) == found);
    CHECK(id.module != code_id_of(address_of(&twice)).module);
  }

  TEST_CASE("what is in no module has no identity") {
    const int on_stack = 0;
    CHECK_THROWS_AS((void)code_id_of(nullptr), NotPortable);
    CHECK_THROWS_AS((void)code_id_of(&on_stack), NotPortable);
    void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(page != MAP_FAILED);
    CHECK_THROWS_AS((void)code_id_of(page), NotPortable);
    ::munmap(page, 4096);
  }

  TEST_CASE("data of a module is no code") {
    static int number = 0;
    CHECK_THROWS_AS((void)code_id_of(&number), NotPortable);
  }

  // SE-010
  TEST_CASE("an identity of nothing that is here is refused") {
    const CodeId id = code_id_of(address_of(&twice));
    CHECK_THROWS_AS((void)code_at({id.module + 1, id.offset}), SerializationError);
    CHECK_THROWS_AS((void)code_at({0, 0}), SerializationError);
    CHECK_THROWS_AS((void)code_at({id.module, ~std::uint64_t{0}}), SerializationError);
    CHECK_THROWS_AS((void)code_at({id.module, std::uint64_t{1} << 46}), SerializationError);
  }

  TEST_CASE("several threads may ask at once") {
    const CodeId id = code_id_of(address_of(&twice));
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5000; ++round) {
          if (code_id_of(address_of(&twice)) != id || code_at(id) != address_of(&twice)) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace siding_test::code_identity_test
