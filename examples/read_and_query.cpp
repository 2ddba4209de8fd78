// SPDX-License-Identifier: MIT
// Shows: a blocking database (sqlite3) and a blocking file read, both on threads and at the same
//        time, then a computation in a process, while a task ticks every 10 ms: the loop goes on.
// Run:   build/examples/read_and_query
// Prints (size, fingerprint and ticks vary):
//   the database file has 32768 bytes
//   its fingerprint is 5ec2b3a9d1f4c077
//   the query found 964044 pairs
//   the loop ticked 25 times meanwhile

#include <siding/siding.hpp>

#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace std::chrono_literals;

constexpr const char* make_names =
    "create table names as with recursive n(i) as (select 1 union all select i + 1 from n "
    "where i < 1500) select 'name ' || i as name from n";
constexpr const char* find_pairs =  // compares each name with each: some tenths of a second
    "select count(*) from names a, names b where a.name || b.name like '%9%'";

struct TemporaryFolder {
  std::string path = std::filesystem::temp_directory_path() / "siding-XXXXXX";
  TemporaryFolder() {
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

// Runs one statement and gives the first number of its last row. Blocks.
long query(const std::string& database, const char* sql) {
  sqlite3* opened = nullptr;
  const int status = sqlite3_open(database.c_str(), &opened);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> db(opened, sqlite3_close);
  long answer = 0;
  const auto keep = [](void* kept, int, char** row, char**) {
    *static_cast<long*>(kept) = std::stol(row[0]);
    return 0;
  };
  if (status != SQLITE_OK || sqlite3_exec(db.get(), sql, keep, &answer, nullptr) != SQLITE_OK) {
    throw std::runtime_error(fmt::format("{}: {}", database, sqlite3_errmsg(db.get())));
  }
  return answer;
}

// Reads a whole file. Blocks.
std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// A thousand rounds of FNV-1a. Burns CPU.
std::uint64_t fingerprint(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (int round = 0; round < 1000; ++round) {
    for (const char byte : bytes)
      hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  }
  return hash;
}

// Counts until it is cancelled.
siding::Task<int> count_ticks() {
  int ticks = 0;
  try {
    for (;; ++ticks)
      co_await siding::sleep(10ms);
  } catch (const siding::Cancelled&) {
  }
  co_return ticks;
}

siding::Task<> read_and_query(std::string database) {
  co_await siding::to_thread(query, database, make_names);

  auto ticker = siding::create_task(count_ticks());
  auto file = siding::run_in_executor(nullptr, read_file, database);  // both start now
  auto found = siding::run_in_executor(nullptr, query, database, find_pairs);
  const std::string& bytes = co_await file;
  fmt::print("the database file has {} bytes\n", bytes.size());
  const std::uint64_t hash = co_await siding::to_process(fingerprint, bytes);  // gets a copy
  fmt::print("its fingerprint is {:016x}\n", hash);
  const long pairs = co_await found;
  fmt::print("the query found {} pairs\n", pairs);

  ticker.cancel();
  const int ticks = co_await ticker;
  fmt::print("the loop ticked {} times meanwhile\n", ticks);
}

int main() {
  try {
    const TemporaryFolder folder;
    siding::run(read_and_query(folder.path + "/names.db"));
  } catch (const std::exception& error) {
    fmt::print(stderr, "read_and_query: {}\n", error.what());
    return 1;
  }
}
