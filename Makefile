# Two targets matter to a newcomer: `make demo` shows the prober at work, `make test` sets up what the tests need and
# runs all of them. `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Tools are pinned here and not in go.mod, which names only what ships or is tested with.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null || echo unknown)
# The time of the commit and not of the build, so that the same commit gives the same binary.
DATE     ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)

PREFIX      ?= /usr/local
BINARY      ?= ./prober
UNITDIR     ?= /etc/systemd/system
IMAGE       ?= prober
GO_IMAGE    ?= golang:1.26
NOTICES     ?= third-party-notices.txt
FUZZTIME    ?= 30s
RUNS        ?= 300
REAL_RUNS   ?= 50
BENCH_FLAGS ?=
ENDURE      ?= 10m
MUTANTS     ?= 200
SEED        ?= 1

# -parallel: many tests wait for a child process or a clock, more than there are processors.
TESTFLAGS := -parallel 4 -timeout 20m
# Tests have little memory to look after and much to collect: it saves a tenth of their time. What is measured has no such setting.
check test test-packages test-binary test-cases test-real test-kubernetes soak mutate: export GOGC ?= 400
# All that make test builds without the race detector, from lint to the binary that a test measures, is built as what is shipped, so
# that nothing is compiled twice; lint has looked at it before, and needs no C compiler while one is being installed.
test: export CGO_ENABLED := 0
test: export GOFLAGS := $(shell go env GOFLAGS) -trimpath
test-packages test-binary: export CGO_ENABLED := 1
test-packages test-binary test-cases: TESTFLAGS += -vet=off

stamp   := github.com/prometheus/common/version
ldflags := -s -w \
	-X $(stamp).Version=$(VERSION) -X $(stamp).Revision=$(REVISION) \
	-X $(stamp).Branch=$(BRANCH) -X $(stamp).BuildDate=$(DATE)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary ./prober
	CGO_ENABLED=0 go build -trimpath -ldflags "$(ldflags)" -o prober ./cmd/prober

# What is installed is what `make build` left, so that root builds nothing.
.PHONY: install
install: ## copy BINARY (./prober), its completions and the unit below PREFIX (/usr/local), UNITDIR and, for packages, DESTDIR
	@test -x $(BINARY) || { echo "there is no $(BINARY): run \`make build\` first"; exit 1; }
	@set -e; umask 022; share=$(DESTDIR)$(PREFIX)/share; \
	install -d $$share/bash-completion/completions $$share/zsh/site-functions $$share/fish/vendor_completions.d $(DESTDIR)$(UNITDIR); \
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/prober; \
	$(BINARY) completion bash > $$share/bash-completion/completions/prober; \
	$(BINARY) completion zsh > $$share/zsh/site-functions/_prober; \
	$(BINARY) completion fish > $$share/fish/vendor_completions.d/prober.fish; \
	sed 's,/usr/local/bin/prober,$(PREFIX)/bin/prober,' config/deploy/prober.service > $(DESTDIR)$(UNITDIR)/prober.service; \
	echo "$(DESTDIR)$(PREFIX)/bin/prober, completions for bash, zsh and fish, and $(DESTDIR)$(UNITDIR)/prober.service are installed"

.PHONY: demo
demo: build ## build, then probe the embedded sample system and say where to look
	./prober demo

.PHONY: check
check: lint ## lint and run the short tests: a minute, no root, no servers
	@echo "== short tests"
	@go test -short -p 4 -parallel 8 ./...

# The binary's tests, which wait more than they compute, come first: the others have the processors once those end.
.PHONY: test
test: ## install what the tests need, lint, then run every test with the race detector, and some again with all cases
	@$(MAKE) --no-print-directory -j2 deps lint
	@skips=$$(mktemp) && trap 'rm -f "$$skips"' EXIT; status=0; \
	PROBER_TEST_SKIPS=$$skips $(MAKE) --no-print-directory --keep-going -j2 test-binary test-cases test-packages || status=1; \
	if [ -s "$$skips" ]; then \
		echo "PROBER_TEST_SHORT: $$(wc -l <"$$skips") tests were SKIPPED for want of a program:"; sort "$$skips"; \
	fi; \
	exit $$status

.PHONY: test-packages
test-packages:
	@echo "== every package but the binary, with the race detector"
	@GORACE=atexit_sleep_ms=10 go test -race $(TESTFLAGS) $$(go list ./... | grep -v /cmd/)

.PHONY: test-binary
test-binary:
	@echo "== the binary, with the race detector (some minutes without a line)"
	@GORACE=atexit_sleep_ms=10 go test -race $(TESTFLAGS) ./cmd/...

# With the race detector these tests take one case in a few, or none: see testenv.Sample and testenv.WithoutRace.
.PHONY: test-cases
test-cases:
	@echo "== every case of the longest tests, without the race detector"
	@$(find-cases); go test $(TESTFLAGS) -run "$$cases" $$packages

define find-cases
calls='testenv[.](Sampled?|WithoutRace)[(]'; \
	files=$$(grep -rlE --include='*_test.go' "$$calls" cmd config internal probes | grep -v internal/testenv); \
	cases=$$(awk -v calls="$$calls" '/^func Test/ { split($$2, f, "("); name = f[1] } $$0 ~ calls { print name }' $$files | sort -u | paste -sd'|'); \
	cases="^($$cases)\$$"; packages=$$(dirname $$files | sort -u | sed 's,^,./,')
endef

.PHONY: test-real
test-real: deps ## run the prober against servers that take minutes to build; each sound one passes REAL_RUNS (50) times
	@set -e; \
	internal/testenv/install.sh parse chdb mail dns plugins; \
	for module in internal/testenv/*/go.mod; do \
		echo "== $${module%/go.mod}"; \
		(cd "$${module%/go.mod}" && package=. && if [ -e main.go ]; then CGO_ENABLED=0 go vet -trimpath ./...; else package=tool; fi && \
			CGO_ENABLED=0 go build -trimpath -tags remove_all_sd -o "$${XDG_CACHE_HOME:-$$HOME/.cache}/prober-test/bin/" $$package); \
	done; \
	echo "== a store that goes blind after each request of a run"; \
	PROBER_TEST_REAL=$(REAL_RUNS) go test -run '^TestBlindness_onsets$$' ./probes/isolation; \
	echo "== row-level security that holds, 1,000 times by the server and 1,000 times through its pool"; \
	RLS_RUNS=1000 go test -v -timeout 60m -run '^TestServer$$/^sound$$' ./probes/rls; \
	echo "== half a million keys of Redis"; \
	PROBER_TEST_REAL=$(REAL_RUNS) go test -v -run '^TestReal_' ./probes/redis; \
	binary=$$(mktemp -d) && trap 'rm -rf "$$binary"' EXIT; \
	go test -c -o "$$binary/prober.test" ./cmd/prober; \
	offline=; [ "$$(id -u)" != 0 ] || ! unshare -n ip link set lo up 2>/dev/null || offline="unshare -n"; \
	echo "== the binary against real servers, $${offline:-with the network that there is}"; \
	cd cmd/prober && PROBER_TEST_REAL=$(REAL_RUNS) $$offline sh -c '[ -z "$$0" ] || ip link set lo up; exec "$$@"' "$$offline" \
		"$$binary/prober.test" -test.run '^TestReal_' -test.timeout 60m -test.v

	@$(MAKE) --no-print-directory test-kubernetes

.PHONY: test-kubernetes
test-kubernetes: ## run the prober against an API server of Kubernetes, whose first build takes a quarter of an hour
	@set -e; bin="$${XDG_CACHE_HOME:-$$HOME/.cache}/prober-test/bin"; mkdir -p "$$bin"; \
	(cd internal/testenv/kubernetes && CGO_ENABLED=0 go build -trimpath -tags remove_all_sd -o "$$bin/etcd" go.etcd.io/etcd/server/v3 && \
		CGO_ENABLED=0 go build -trimpath -tags remove_all_sd -o "$$bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver); \
	tests=$$(mktemp -d) && trap 'rm -rf "$$tests"' EXIT; \
	go test -c -o "$$tests/" ./probes/pods ./probes/deploys ./probes/targets ./probes/grpc ./cmd/prober; \
	offline=; [ "$$(id -u)" != 0 ] || ! unshare -n ip link set lo up 2>/dev/null || offline="unshare -n"; \
	for package in probes/pods probes/deploys probes/targets probes/grpc cmd/prober; do \
		echo "== $$package, $${offline:-with the network that there is}"; \
		(cd $$package && PROBER_TEST_REAL=1 $$offline sh -c '[ -z "$$0" ] || ip link set lo up; exec "$$@"' "$$offline" \
			"$$tests/$${package##*/}.test" -test.run '^TestReal_(kubernetes|etcd)$$' -test.timeout 30m -test.v); \
	done

.PHONY: deps
deps: ## install the servers that the tests run against (Debian packages)
	@echo "== programs that the tests run"
	@internal/testenv/install.sh

.PHONY: lint
lint: ## check formatting, go vet, staticcheck
	@echo "== gofmt"
	@bad=$$(gofmt -l $(wildcard cmd probes config internal)); \
	if [ -n "$$bad" ]; then echo "gofmt -w these files:"; echo "$$bad"; exit 1; fi
	@echo "== go vet"
	@go vet ./...
	@echo "== staticcheck"
	@go run $(STATICCHECK) ./...

.PHONY: golden
golden: ## write the golden files of all packages; look at the diff before you commit it
	@set -e; \
	grep -rl --include='*_test.go' 'testenv\.Golden(' cmd config internal probes | xargs -n1 dirname | sort -u | while read -r dir; do \
		tests=$$(awk '/^func Test/ { split($$2, f, "("); name = f[1] } /testenv\.Golden\(/ { print name }' "$$dir"/*_test.go | sort -u | paste -sd'|'); \
		echo "golden ./$$dir $$tests"; \
		go test -run "^($$tests)$$" "./$$dir" -update </dev/null; \
	done

.PHONY: docs
docs: ## write the generated tables of README and docs
	go test ./cmd/prober -run '^TestDocs_tables$$' -update

.PHONY: pictures
pictures: ## draw the pictures of docs/images from the demo in Chromium
	PROBER_TEST_PICTURES=$(CURDIR)/docs/images go test ./cmd/prober -run '^TestPictures$$' -count 1

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (30s)
	@set -e; \
	grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u | while read -r dir; do \
		grep -rhoP '^func \KFuzz\w+' --include='*_test.go' "$$dir" | sort -u | while read -r target; do \
			echo "fuzz $$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null; \
		done; \
	done

.PHONY: soak
soak: deps ## run the short tests of all that decides verdicts 20 times, as make test does (40 minutes)
	@echo "== 20 rounds, with the race detector"
	@go test -race -short -p 4 -parallel 4 -count=20 -timeout 2h \
		$$(go list ./... | grep -vE '/(cmd|internal/(arch|bench|endure|mutate|notices|testenv|web))(/|$$)')
	@echo "== 20 rounds of every case, without it"
	@$(find-cases); PROBER_TEST_EVERY=1 go test -short -p 4 -parallel 4 -count=20 -timeout 2h -run "$$cases" $$(grep -vE '/(cmd|arch|web)(/|$$)' <<<"$$packages")

.PHONY: soak-binary
soak-binary: deps ## run every test of the binary 3 times, as make test does (25 minutes)
	@echo "== 3 rounds of the binary, with the race detector"
	@go test -race -parallel 4 -count=3 -timeout 2h ./cmd/...
	@echo "== 3 rounds of every case of the binary, without it"
	@$(find-cases); go test -parallel 4 -count=3 -timeout 2h -run "$$cases" ./cmd/...

.PHONY: bench-history
bench-history: ## measure the history of 1,000 and of 10,000 probes after 90 days: its size, and how long it takes to open and to read (ten minutes, 2 GB of disk)
	go test -run '^$$' -bench NinetyDays -benchtime 1x -timeout 60m ./internal/history

.PHONY: bench
bench: build ## measure speed and memory beside a bare net/http loop (about three minutes)
	go run ./internal/bench -prober ./prober $(BENCH_FLAGS)

.PHONY: bench-kinds
bench-kinds: build ## measure what a run of each kind costs beside a bare client of its protocol (ten minutes; BENCH_FLAGS='-kinds jwks,tls' for some)
	go run ./internal/bench -prober ./prober -only kinds $(BENCH_FLAGS)

.PHONY: bench-growth
bench-growth: build ## measure 100 to 50,000 probes: CPU, memory, late starts, /metrics, start and reload (four minutes)
	go run ./internal/bench -prober ./prober -only growth $(BENCH_FLAGS)

.PHONY: endure
endure: build ## have the prober survive, in 64 MiB, large answers, slow readers, idle connections and reloads (ENDURE=10m)
	go run ./internal/endure -prober ./prober -for $(ENDURE)

.PHONY: mutate
mutate: ## change the code of PKG in MUTANTS (200) places, one at a time, and list the changes that its short tests, or those of TESTS, do not notice
	go run ./internal/mutate -n $(MUTANTS) -seed $(SEED) $(if $(TESTS),-tests $(TESTS)) $(if $(RUN),-run '$(RUN)') $(if $(AT),-at $(AT)) $(PKG)

.PHONY: leaks
leaks: ## measure what runs of isolation cost and which leaks they find (RUNS=300, about three minutes)
	go test -run '^$$' -bench 'Isolation|LeakByChance' -benchtime $(RUNS)x ./cmd/prober

.PHONY: notices
notices: ## write the licences of all that is linked into the binary to NOTICES (third-party-notices.txt)
	CGO_ENABLED=0 go run ./internal/notices ./cmd/prober > $(NOTICES)

.PHONY: image
image: ## build the container image; GO_IMAGE=golang:1.26@sha256:... pins the builder
	docker build --build-arg GO_IMAGE=$(GO_IMAGE) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) \
		--build-arg BRANCH=$(BRANCH) --build-arg DATE=$(DATE) -t $(IMAGE):$(VERSION) .
