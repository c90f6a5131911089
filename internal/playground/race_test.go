//go:build race

package playground_test

// everyNth thins out the large tables where the race detector makes each case
// many times slower; what it looks for is in every one of them.
const everyNth = 5
