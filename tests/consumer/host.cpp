// SPDX-License-Identifier: MIT
// A program that knows nothing of siding and calls a function of a plugin: host PLUGIN [FUNCTION]
#include <dlfcn.h>

#include <cstdio>

int main(int argc, char** argv) {
  void* plugin = ::dlopen(argv[1], RTLD_NOW);
  void* entry = plugin == nullptr ? nullptr : ::dlsym(plugin, argc > 2 ? argv[2] : "try_pools");
  if (entry == nullptr) {
    std::printf("%s\n", ::dlerror());
    return 1;
  }
  return reinterpret_cast<int (*)()>(entry)();
}
