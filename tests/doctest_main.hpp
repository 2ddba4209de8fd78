// SPDX-License-Identifier: MIT
#pragma once

namespace siding_test {

// Runs the doctest cases of this program; returns its exit status.
int run_doctest(int argc, char** argv);

}  // namespace siding_test
