// SPDX-License-Identifier: MIT
// What a hook names is checked as well.
// expect: cannot cross to another process
// expect: a_shared_ptr
#include <siding/wire.hpp>

#include <cstddef>
#include <memory>
#include <string>

class Account {
 public:
  template <class Archive>
  friend void siding_fields(Archive& archive, Account& account) {
    archive(account.owner_);
  }

 private:
#ifdef SIDING_GOOD
  std::string owner_;
#else
  std::shared_ptr<std::string> owner_;
#endif
};

std::size_t measured(const Account& account) { return siding::wire_size(account); }
