// SPDX-License-Identifier: MIT
// A program that knows nothing of siding and loads a plugin: host PLUGIN
#include <dlfcn.h>

#include <cstdio>

int main(int, char** argv) {
  void* plugin = ::dlopen(argv[1], RTLD_NOW);
  void* entry = plugin == nullptr ? nullptr : ::dlsym(plugin, "try_pools");
  if (entry == nullptr) {
    std::printf("%s\n", ::dlerror());
    return 1;
  }
  return reinterpret_cast<int (*)()>(entry)();
}
