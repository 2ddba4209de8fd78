// SPDX-License-Identifier: MIT
#include <siding/detail/remote_exception.hpp>

#include <siding/error.hpp>
#include <siding/wire.hpp>


#include <atomic>
#include <cstring>
#include <ios>
#include <mutex>
#include <optional>
#include <utility>

#include "demangled.hpp"
#include "standard_errors.hpp"

// An error goes as a row of links, the outermost first, each with
//   type     the name of its std::type_info, by which the other process finds its ErrorType;
//   name     the same for people, demangled here: a demangler is not for bytes from elsewhere;
//   text     what(), if it has one;
//   payload  what its ErrorType wrote, or nothing if it has none here or it failed;
// and is rebuilt from the innermost outwards, each link thrown while the one inside is handled.

namespace siding::detail {

namespace {

/// Chosen: deeper than people nest errors, and harmless to rebuild.
constexpr std::size_t deepest_chain = 32;

struct Link {
  std::string type;
  std::string name;
  std::string text;
  std::optional<std::vector<std::byte>> payload;
};

// Written by register_error (release) when the entry is complete, read by find (acquire).
std::atomic<const ErrorType*> registered{nullptr};

const ErrorType* find_registered(const char* name) noexcept {
  for (const ErrorType* type = registered.load(std::memory_order_acquire); type != nullptr;
       type = type->next) {
    if (std::strcmp(type->type->name(), name) == 0) return type;
  }
  return nullptr;
}

// By the name of a type that crosses. A registered one goes before: it may know more.
const ErrorType* find_by_name(const char* name) noexcept {
  if (const ErrorType* type = find_registered(name)) return type;
  for (const ErrorType& type : standard_errors()) {
    if (std::strcmp(type.type->name(), name) == 0) return &type;
  }
  return nullptr;
}

// By what was thrown.
const ErrorType* find_by_type(const std::type_info& thrown) noexcept {
  // What the streams of libstdc++ throw is a private class, derived so for an older ABI.
  if (std::strcmp(thrown.name(), "St13__ios_failure") == 0)
    return find_by_type(typeid(std::ios_base::failure));
  const auto matches = [&thrown](const ErrorType& type) {
    return *type.type == thrown || (type.nested_type != nullptr && *type.nested_type == thrown);
  };
  for (const ErrorType* type = registered.load(std::memory_order_acquire); type != nullptr;
       type = type->next) {
    if (matches(*type)) return type;
  }
  for (const ErrorType& type : standard_errors()) {
    if (matches(type)) return &type;
  }
  return nullptr;
}

// The text of an error and what is nested in it.
std::pair<std::string, std::exception_ptr> look_into(const std::exception_ptr& error) {
  std::pair<std::string, std::exception_ptr> found;
  const auto nested_in = [](const auto& thrown) {
    const auto* outer = dynamic_cast<const std::nested_exception*>(&thrown);
    return outer != nullptr ? outer->nested_ptr() : nullptr;
  };
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& thrown) {
    found = {thrown.what(), nested_in(thrown)};
  } catch (const std::nested_exception& thrown) {
    found.second = thrown.nested_ptr();
  } catch (...) {
    // It has neither.
  }
  return found;
}

std::optional<std::vector<std::byte>> payload_of(const ErrorType& type,
                                                 const std::exception_ptr& error) {
  try {
    WireWriter counter;
    type.encode(counter, error);
    std::vector<std::byte> bytes(counter.size());
    WireWriter writer(bytes);
    type.encode(writer, error);
    return bytes;
  } catch (...) {
    return std::nullopt;  // its type and its text are better than nothing
  }
}

std::vector<Link> links_of(std::exception_ptr error) {
  std::vector<Link> links;
  if (!error) links.push_back({"", "no error", "", std::nullopt});
  while (error && links.size() < deepest_chain) {
    const std::type_info& thrown = *error.__cxa_exception_type();
    auto [text, nested] = look_into(error);
    Link link{thrown.name(), demangled_error(thrown.name()), std::move(text), std::nullopt};
    if (const ErrorType* type = find_by_type(thrown)) {
      link.type = type->type->name();
      link.payload = payload_of(*type, error);
    }
    links.push_back(std::move(link));
    error = std::move(nested);
  }
  return links;
}

// Throws it as its own type, or returns.
void raise_typed(const Link& link, bool nested) {
  const ErrorType* type = link.payload ? find_by_name(link.type.c_str()) : nullptr;
  if (type == nullptr) return;
  WireReader reader(*link.payload);
  type->raise(reader, link.text, nested);
}

[[noreturn]] void raise_remote(const Link& link, bool nested, pid_t pid, std::string_view call) {
  raise_as(RemoteError(link.name, link.text, pid, call), nested);
}

// Whether what is being handled was thrown by a decoder that was to throw a `link` and could not.
bool is_of_type(const Link& link, const std::exception_ptr& error) {
  const ErrorType* type = find_by_name(link.type.c_str());
  const std::type_info& thrown = *error.__cxa_exception_type();
  return *type->type == thrown || (type->nested_type != nullptr && *type->nested_type == thrown);
}

// `origin` is what is to be nested in it if it arrives as itself; a RemoteError has it anyway.
std::exception_ptr rebuild(const Link& link, const std::exception_ptr& origin,
                           const std::exception_ptr& inner, pid_t pid, std::string_view call) {
  const auto make = [](const std::exception_ptr& within, auto&& raise) -> std::exception_ptr {
    try {
      if (!within) {
        raise(false);
      } else {
        try {
          std::rethrow_exception(within);
        } catch (...) {
          raise(true);
        }
      }
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  };
  std::exception_ptr error =
      make(origin ? origin : inner, [&](bool nested) { raise_typed(link, nested); });
  if (error && is_of_type(link, error)) return error;
  return make(inner, [&](bool nested) { raise_remote(link, nested, pid, call); });
}

}  // namespace

void register_error(ErrorType& type) noexcept {
  // Two libraries that are loaded at once may register the same type.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (find_registered(type.type->name()) != nullptr) return;
  type.next = registered.load(std::memory_order_relaxed);
  registered.store(&type, std::memory_order_release);
}

void encode_exception(WireWriter& writer, const std::exception_ptr& error) {
  writer.value(links_of(error));
}

std::vector<std::byte> encode_exception(const std::exception_ptr& error) {
  return to_wire(links_of(error));
}

std::exception_ptr decode_exception(WireReader& reader, pid_t pid, std::string_view call) {
  const auto links = reader.value<std::vector<Link>>();
  if (links.empty() || links.size() > deepest_chain)
    throw_wire_error("a message is damaged: it holds no error, or too many");
  const bool tells_origin = links.back().type == typeid(RemoteError).name() ||
                            links.back().type == typeid(RemoteOrigin).name();
  std::exception_ptr origin =
      tells_origin ? nullptr : std::make_exception_ptr(RemoteOrigin(pid, call));
  std::exception_ptr error;
  for (auto link = links.rbegin(); link != links.rend(); ++link)
    error = rebuild(*link, std::exchange(origin, nullptr), error, pid, call);
  return error;
}

std::exception_ptr decode_exception(std::span<const std::byte> bytes, pid_t pid,
                                    std::string_view call) {
  WireReader reader(bytes);
  std::exception_ptr error = decode_exception(reader, pid, call);
  reader.expect_end();
  return error;
}

}  // namespace siding::detail
