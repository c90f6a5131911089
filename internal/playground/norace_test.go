//go:build !race

package playground_test

// everyNth is 1: all cases of the large tables are run.
const everyNth = 1
