// SPDX-License-Identifier: MIT
#include <siding/detail/fixed_text.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace siding::detail {

FixedText& FixedText::add(std::string_view text) noexcept {
  const std::size_t length = std::min(text.size(), room_.size() - used_);
  std::memcpy(room_.data() + used_, text.data(), length);
  used_ += length;
  cut_ = cut_ || length < text.size();
  return *this;
}

FixedText& FixedText::add(std::uint64_t number) noexcept {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  return add(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

FixedText& FixedText::add(std::chrono::nanoseconds length) noexcept {
  const auto milliseconds = std::max<std::int64_t>(0, length.count() / 1'000'000);
  const auto rest = static_cast<unsigned>(milliseconds % 1000);
  const char fraction[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  add(static_cast<std::uint64_t>(milliseconds / 1000));
  return add(std::string_view(fraction, sizeof fraction)).add(" s");
}

}  // namespace siding::detail
