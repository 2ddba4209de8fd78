// SPDX-License-Identifier: MIT
// Shows: a library that only blocks (libcurl's easy interface) used from a coroutine, by
//        run_in_executor on the loop's default pool: with arguments, and with a bound lambda. Then
//        on a pool of processes of its own.
// Run:   build/examples/fetch_feed http://127.0.0.1:8000/feed.xml
// Prints, once for each of the three calls:
//   Got data of length: 31415 in just 0.012 s

#include <siding/siding.hpp>

#include <curl/curl.h>
#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

struct Page {
  std::string body;
  std::chrono::duration<double> elapsed;
};

std::size_t append(const char* data, std::size_t size, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(data, size * count);
  return size * count;
}

// Blocks until the page is there. Throws std::runtime_error.
Page fetch(const std::string& url, std::chrono::milliseconds limit) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (curl == nullptr) throw std::runtime_error("libcurl could not be set up");
  Page page;
  char reason[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);  // a status from 400 on is an error
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);  // no alarm signals: this may be a thread
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &page.body);
  const auto start = std::chrono::steady_clock::now();
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    throw std::runtime_error(fmt::format("cannot fetch {}: {}", url,
                                         *reason != '\0' ? reason : curl_easy_strerror(code)));
  }
  page.elapsed = std::chrono::steady_clock::now() - start;
  return page;
}

void print(const Page& page) {
  fmt::print("Got data of length: {} in just {:.3f} s\n", page.body.size(), page.elapsed.count());
}

void set_up() { curl_global_init(CURL_GLOBAL_DEFAULT); }

siding::Task<> fetch_feed(std::string url, siding::ProcessPool& processes) {
  // nullptr: the default pool. Arguments follow the function and are copied.
  const Page first = co_await siding::run_in_executor(nullptr, fetch, url, 10s);
  print(first);

  // What is to be bound goes into a lambda. It gets a name first: g++ before 12.3 would destroy a
  // temporary with such captures twice in a co_await expression, and siding refuses it there.
  const auto fetch_patiently = [url] { return fetch(url, 60s); };
  const Page second = co_await siding::run_in_executor(nullptr, fetch_patiently);
  print(second);

  // The url is copied there, the page is copied back. A lambda with captures would be refused.
  const Page third = co_await siding::run_in_executor(processes, fetch, url, 10s);
  print(third);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: fetch_feed URL\n");
    return 2;
  }
  try {
    set_up();  // before there are threads
    // The worker is a process that never runs this main(), so it sets up for itself.
    siding::ProcessPool processes{{.max_workers = 1, .initializer = set_up}};
    siding::run(fetch_feed(argv[1], processes));
    curl_global_cleanup();
  } catch (const std::exception& error) {
    fmt::print(stderr, "fetch_feed: {}\n", error.what());
    return 1;
  }
}
