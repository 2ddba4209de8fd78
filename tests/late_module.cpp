// SPDX-License-Identifier: MIT
// What late_module_test loads while it runs.

extern "C" int late_square(int n) { return n * n; }
