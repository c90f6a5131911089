# What people here type. CI runs .ci/run, which is `make check` after installing
# what a bare machine lacks.

# Packages with golden files say so by having a flag named update.
golden_packages = $(shell grep -rl --include='*_test.go' 'Bool("update"' cmd internal | xargs -n1 dirname | sort -u | sed 's,^,./,')

.PHONY: check test golden lint fuzz build demo

# Everything that CI checks.
check:
	.ci/run --here

# The tests that need nothing but Go.
test:
	go test ./...

# Rewrite the golden files and generated documents; review their diff like code.
golden:
	go test $(golden_packages) -update

# The linters of .golangci.yml, at the version pinned in tools/go.mod.
lint:
	go tool -modfile=tools/go.mod golangci-lint run

# Every fuzz target, a minute each; TIME=10m for longer.
TIME ?= 1m
fuzz:
	.ci/fuzz $(TIME)

# The static binary, in bin/bot, as the container has it.
build:
	.ci/build bin/bot

# The whole product on this machine, with a page in the browser.
demo:
	go run ./cmd/bot demo
