// SPDX-License-Identifier: MIT
// The main function of tests that need no ring.

#include "doctest_main.hpp"

int main(int argc, char** argv) { return siding_test::run_doctest(argc, argv); }
