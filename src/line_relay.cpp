// SPDX-License-Identifier: MIT
#include "line_relay.hpp"

#include <algorithm>

namespace siding::detail {

void LineRelay::feed(std::span<const char> bytes) {
  std::string_view rest(bytes.data(), bytes.size());
  remember(rest);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const bool complete = end != std::string_view::npos;
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(complete ? end + 1 : rest.size());
    if (complete && begun_.empty() && line.size() <= longest_line) {
      sink_(line);
      continue;
    }
    for (;;) {
      const std::size_t size = std::min(line.size(), longest_line - begun_.size());
      begun_.append(line.substr(0, size));
      line.remove_prefix(size);
      if (line.empty()) break;
      sink_(begun_);
      begun_.clear();
    }
    if (!complete) continue;
    sink_(begun_);
    begun_.clear();
  }
}

void LineRelay::finish() {
  if (!begun_.empty()) sink_(begun_);
  begun_.clear();
}

void LineRelay::remember(std::string_view bytes) noexcept {
  if (bytes.size() > tail_room) {
    fed_ += bytes.size() - tail_room;
    bytes.remove_prefix(bytes.size() - tail_room);
  }
  const std::size_t place = fed_ % tail_room;
  const std::size_t first = std::min(bytes.size(), tail_room - place);
  std::copy_n(bytes.data(), first, tail_.data() + place);
  std::copy_n(bytes.data() + first, bytes.size() - first, tail_.data());
  fed_ += bytes.size();
}

std::string LineRelay::tail() const {
  std::string text;
  const std::size_t place = fed_ % tail_room;
  const bool cut = fed_ > tail_room;
  if (fed_ >= tail_room) text.append(tail_.data() + place, tail_room - place);
  text.append(tail_.data(), place);
  // Backwards over the newlines. One at the end ends the last line and begins none.
  std::size_t begin = text.size();
  for (std::size_t lines = 0; lines < tail_lines && begin > 0; ++lines) {
    const std::size_t newline = begin < 2 ? std::string::npos : text.rfind('\n', begin - 2);
    if (newline == std::string::npos) {
      // The first line there is; left out if a part of it is gone and others are not.
      if (!cut || lines == 0) begin = 0;
      break;
    }
    begin = newline + 1;
  }
  return text.substr(begin);
}

}  // namespace siding::detail
