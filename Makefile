# Skerry: everything a developer types. `make` alone lists it.
export CGO_ENABLED := 0
GO       ?= go
FUZZTIME ?= 10s
KILLS    ?= 300
CUTS     ?= 50
SOAK     ?= 30m
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
BUILD    := $(GO) build -modfile=bin/lean.mod -trimpath -ldflags '$(LDFLAGS)'
PLATFORMS := linux/amd64 linux/arm64 linux/arm/7 linux/arm/6 linux/386 linux/riscv64

.DEFAULT_GOAL := help
.PHONY: help build test crash crash-mixed fleet-kill backlog powercut faults soak check demo bench fuzz bench-store cross examples man deps size bench-wasm hostile test-arm demo-arm dist dist-test deb-test clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/lean.mod ## build bin/skerry for this machine
	$(BUILD) -o bin/skerry ./cmd/skerry

bin/lean.mod: go.mod go.sum .ci/lean.sh
	GO="$(GO)" bash .ci/lean.sh

test: deps ## install what is missing, then run all tests, the store also as on a 32-bit device
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 40m ./...
	GOARCH=386 CGO_ENABLED=0 $(GO) test ./internal/store/...

crash: deps ## kill the agent KILLS (300) times under load and count what it lost: nothing
	TEST_KILLS=$(KILLS) $(GO) test -count=1 -timeout 60m -v -run TestKill9 ./cmd/skerry

crash-mixed: deps ## kill the agent 100 times while all kinds of sources give it events
	TEST_KILLS=100 $(GO) test -count=1 -timeout 60m -v -run TestMixedKill9 ./cmd/skerry

fleet-kill: deps ## kill the agent 200 times while it updates over a bad link (6 minutes)
	TEST_KILLS=200 $(GO) test -count=1 -timeout 60m -v -run TestFleetKill9 ./cmd/skerry

backlog: deps ## queue a million follow-ups while the cloud is away, kill the agent, drain over 50 kills (4 minutes)
	TEST_BACKLOG=1000000 TEST_KILLS=50 $(GO) test -count=1 -timeout 40m -v -run TestBacklog ./cmd/skerry

powercut: deps ## cut the power of a machine CUTS (50) times in mid-write, set its clock, fill its disk
	CUTS=$(CUTS) $(GO) test -count=1 -timeout 120m -v ./internal/powercut

faults: deps ## bad links (5 minutes off and on 6 times), a minute of overload: an hour and a half
	FAULT_TIME=60s FAULT_OFF=5m OVERLOAD_TIME=60s $(GO) test -count=1 -timeout 180m -v -run 'TestBadLinks|TestStandingStill|TestOverload' ./cmd/skerry

soak: deps ## run days of a plant as fast as they go for SOAK (30m): memory, files and disk stay
	SOAK_TIME=$(SOAK) $(GO) test -count=1 -timeout 1500m -v -run TestSoak ./cmd/skerry

check: ## run all that must pass before a change is taken (35 to 40 minutes)
	bash .ci/run

demo: build ## show the whole of Skerry on this terminal, without network or settings
	bin/skerry demo

bench: ## drive mosquitto -> skerry -> mosquitto beside a native subscriber, a bare broker and Node-RED
	$(GO) run ./internal/bench

bench-store: ## measure the journal beside Badger: records, bytes written, reopening
	$(GO) run ./internal/benchstore

fuzz: ## run every fuzz target for FUZZTIME (10s)
	FUZZTIME=$(FUZZTIME) bash .ci/fuzz.sh

cross: bin/lean.mod ## build bin/skerry-OS-ARCH for every supported platform
	@set -e; for p in $(PLATFORMS); do \
		IFS=/ read -r os arch arm <<< "$$p"; out=bin/skerry-$$os-$$arch$${arm:+v$$arm}; \
		echo "build $$out"; GOOS=$$os GOARCH=$$arch GOARM=$$arm $(BUILD) -o $$out ./cmd/skerry; \
	done

examples: ## install the compilers that are missing, then build the example functions
	bash .ci/deps.sh examples
	$(MAKE) -C examples

man: build ## write the manual pages to bin/man
	bin/skerry man --dir bin/man

deps: ## install the programs that the tests talk to
	bash .ci/deps.sh

size: ## print the size of the arm64 binary and the memory of an idle agent
	GO="$(GO)" LDFLAGS="$(LDFLAGS)" bash .ci/size.sh

bench-wasm: ## measure functions in each language: events, cold starts, workers, 500 at once
	$(GO) run ./internal/benchwasm

hostile: ## measure what hostile functions do to a neighbour (5 minutes, on an idle machine)
	TEST_HOSTILE=1 $(GO) test -count=1 -timeout 40m -run TestNeighbourOfHostileFunctions ./wasm

test-arm: ## run the tests of functions as on 64-bit and 32-bit ARM, by qemu
	bash .ci/test-arm.sh

demo-arm: bin/lean.mod ## run the demo as on other processors, by qemu, and check what it counted
	bash .ci/deps.sh arm
	bash .ci/demo-arm.sh

dist: bin/lean.mod ## make bin/dist: archives, Debian packages, SBOMs and checksums of VERSION
	$(GO) run ./internal/dist -version '$(VERSION)' $(if $(MAINTAINER),-maintainer '$(MAINTAINER)') -o bin/dist

dist-test: ## make the release once more in another folder: the same bytes
	bash .ci/dist-test.sh

deb-test: bin/lean.mod ## install, start, upgrade and purge the package in a Debian of its own (as root)
	bash .ci/deps.sh packages
	bash .ci/deb-test.sh

clean: ## remove what was built
	rm -rf bin

cross: SHELL := /bin/bash
