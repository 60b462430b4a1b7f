# `make run` and `make test` need Go, a C compiler for the race detector, and
# nothing else; what they use beyond that they build themselves.

GO            ?= go
GOLANGCI_LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME      ?= 30s
BENCHTIME     ?= 1s
# Flags of the comparison with the peers: see integration/BENCHMARKS.md.
BENCHFLAGS    ?=
# Where make install puts the programs; DESTDIR goes in front, for packages.
PREFIX        ?= /usr/local
DESTDIR       ?=

# The race detector is built with cgo. Without a C compiler the tests still
# run, and say what they lack.
RACE := $(shell test "$$($(GO) env CGO_ENABLED)" = 1 && command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

# What make run serves, whatever the caller's environment says.
RUN_ENV := COSPROXY_LISTEN=127.0.0.1:4360 COSPROXY_ADMIN_LISTEN=127.0.0.1:4361 COSPROXY_ALLOW_PREFIXES='*' \
  COSPROXY_ALLOW_ACTIONS=read,write,upload,list,delete

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## Build bin/cosproxy and bin/cosemu
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/ ./cmd/...

install: build ## Install cosproxy and cosemu into DESTDIR/PREFIX/bin (/usr/local/bin)
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 0755 bin/cosproxy bin/cosemu '$(DESTDIR)$(PREFIX)/bin'

image: ## Build the container image of the last commit into dist/, which it empties
	$(GO) run ./integration/release -image -out dist

release: ## Build archives for every platform, image, SBOM and checksums of the last commit into dist/
	$(GO) run ./integration/release -out dist

release-check: release ## Build the release twice and compare the bytes (minutes)
	$(GO) run ./integration/release -compare dist

run: build ## Run the sidecar against an embedded local COS and STS
	@printf '%s\n' \
	  'cosproxy will answer on http://127.0.0.1:4360, signed for a local COS; try in another terminal:' \
	  '' \
	  '  echo hello | curl -T - http://127.0.0.1:4360/greetings/hello.txt' \
	  '  curl http://127.0.0.1:4360/greetings/hello.txt' \
	  '  curl "http://127.0.0.1:4360/?prefix=greetings/"' \
	  '' \
	  'Admin page: http://127.0.0.1:4361/status   (Ctrl-C stops)' \
	  ''
	@exec env $(RUN_ENV) bin/cosemu -- bin/cosproxy

test: ## Run every Go test, under the race detector
	@test -n '$(RACE)' || echo 'make test: no cgo, so the race detector is off; install gcc or clang' >&2
	$(GO) test $(RACE) -parallel 4 ./...
	cd integration/kubernetes && $(GO) test -count=1 ./... # the cache does not see changes of cosproxy
	cd integration/s3clients && $(GO) test -count=1 ./... # the cache does not see changes of cosproxy

test-systemd: ## Check the printed units with systemd-analyze (needs systemd)
	cd integration/kubernetes && $(GO) test -count=1 -tags systemd -run Systemd ./...

test-node: build ## Run the official Node SDK and the AWS SDK through the sidecar (needs npm)
	cd integration/node && npm install --no-audit --no-fund --silent && \
	  ../../bin/cosemu -- node test.mjs ../../bin/cosproxy && GO='$(GO)' ../../bin/cosemu -- node s3.mjs ../../bin/cosproxy

test-s3: ## Run S3 tools through the sidecar (needs aws, boto3, rclone, restic, s3cmd)
	cd integration/s3clients && $(GO) test -count=1 -tags tools -run Tools ./...

test-browser: ## Attack the sidecar from a real browser (needs chromium)
	$(GO) test -tags browser -run Browser ./integration

test-arm64: ## Test the arm64 assembly (needs qemu-user on other machines)
	GO='$(GO)' .ci/test-arm64

test-image: build image ## Start the image under Podman (needs Linux, root, podman, runc or crun)
	GO='$(GO)' .ci/test-image

race: ## Run the concurrent packages many times under the race detector
	$(GO) test -race -count=5 ./signer ./credcache ./proxy

lint: ## Run go vet (also for Windows and macOS) and golangci-lint
	$(GO) vet -tags browser ./...
	GOOS=windows $(GO) vet -tags browser ./...
	GOOS=darwin $(GO) vet -tags browser ./...
	$(GOLANGCI_LINT) run ./...
	cd integration/kubernetes && $(GO) vet -tags systemd ./... && $(GOLANGCI_LINT) run --build-tags systemd ./...
	cd integration/s3clients && $(GO) vet -tags tools ./... && $(GOLANGCI_LINT) run --build-tags tools ./...

vuln: ## Look for known vulnerabilities that the code can reach (needs network)
	GO='$(GO)' .ci/vuln

fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "== $$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg || exit 1; \
	  done; \
	done

bench: build ## Compare signer and proxy with their peers, simulate a fleet (minutes)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./signer ./credcache ./proxy ./integration
	$(GO) test -run Fleet -v ./credcache -fleet 24h
	$(GO) run ./integration/bench -cosproxy bin/cosproxy $(BENCHFLAGS)

pgo: ## Profile cosproxy under the load of the benchmark, write cmd/cosproxy/default.pgo (Linux)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -tags pgo -pgo off -o bin/cosproxy-pgo ./cmd/cosproxy
	$(GO) run ./integration/bench -cosproxy bin/cosproxy-pgo -pgo cmd/cosproxy/default.pgo -rounds 2 $(BENCHFLAGS)
	rm bin/cosproxy-pgo

cover: ## Write cover.out and print the total
	$(GO) test -coverprofile cover.out ./signer ./credcache ./proxy ./cmd/cosproxy
	$(GO) tool cover -func cover.out | tail -1

check: lint vuln test test-systemd test-node test-s3 test-browser test-arm64 test-image ## Everything that CI runs

.PHONY: help build install image release release-check run test test-systemd test-node test-s3 test-browser test-arm64 test-image race lint vuln fuzz bench pgo cover check
