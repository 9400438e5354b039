# What can be done here. "make help" lists it.

MODULES  := migrations shared services lab
PACKAGES := ./migrations/... ./shared/... ./services/... ./lab/...
PROGRAMS := $(notdir $(patsubst %/,%,$(dir $(wildcard services/*/main.go))))

# Everything but the race detector compiles in one way, as the programs are shipped: what one step has
# compiled, the next ones find in the build cache. Without paths, a copy of the tree finds it too.
OWN_GOFLAGS        := $(shell go env GOFLAGS)
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(OWN_GOFLAGS) -trimpath)

# The linter is a tool, not a dependency: built from source outside of our modules, kept by
# its version.
LINT_VERSION := v2.15.0
LINT         := .cache/golangci-lint-$(LINT_VERSION)/golangci-lint

# So are the scanners of make audit.
VULNCHECK := .cache/govulncheck-v1.9.0/govulncheck
CYCLONEDX := .cache/cyclonedx-gomod-v1.10.0/cyclonedx-gomod

FUZZTIME  ?= 20s
SEEDS     ?= 20
PAGES     ?= 2000
BENCHTIME ?= 10s
ROUNDS    ?= 3
TESTFLAGS ?=

# Empty on a machine without a C compiler, which the race detector needs. It leaves out bcrypt and
# argon2: slow on purpose, pure functions, not ours, and ten times slower when it watches them.
RACE = $$(printf '\043include <stdlib.h>\nint main(void) { return 0; }\n' | $$(go env CC) -x c -o /dev/null - 2>/dev/null && echo '-race -gcflags=golang.org/x/crypto/...=-race=false')

# The race detector makes these tests of lab and of the demo many times slower, or too large: they run without it.
WITHOUT_RACE := FaultSchedules EveryFaultOnEveryRead TheTokenShowsUpNowhere \
	StagesKeepToTheirMemory CallsOfALargeSpace OurOwnQuestionsAreAnsweredByMeaning ExtractedFilesKeepEverything \
	TheDemoAndWhatItLeaves SearchNarrowed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo firsthour test test-foreign test-tika test-renderers test-mcp test-console screenshots test-openapi test-pooler audit check torture fmt lint vet build isolate tidy docs fuzz bench microbench bench-store bench-peers cover clean fidelity hostile retrieval permissions permissions-search compose-test

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r t d; do printf '  make %-12s %s\n' "$$t" "$$d"; done

setup: $(LINT) ## fetch everything ahead of time: modules, linter, a first build
	go mod download
	go build $(PACKAGES)

demo: ## show it all: a Confluence space becomes searchable chunks (DEMO_ONCE=1 ends by itself, DEMO_ARGS="--pages 500")
	@go build -buildvcs=false -o bin/sluice ./services/sluice
	@exec bin/sluice demo $(if $(filter-out 0 false,$(DEMO_ONCE)),--once) $(DEMO_ARGS)

compose-test: ## run docker-compose.yml on a Docker engine, against the stand-in, in about three minutes (NOT RUN without one)
	@bash lab/composetest/compose-test.sh

firsthour: ## run every command once right and once wrong, in a terminal of 80 columns (needs script, of util-linux)
	@go build -buildvcs=false -o bin/sluice ./services/sluice
	@script -qec "stty cols 80 rows 50; sh lab/firsthour/first-hour.sh" bin/first-hour.txt
	@go run ./lab/firsthour/columns <bin/first-hour.txt

# The packages that take longest come first, so that no one waits for them at the end.
test: ## run every test with the race detector, on a real NATS and a real Postgres
	@race=$(RACE); cgo=1 flags="$(OWN_GOFLAGS)"; \
	[ -n "$$race" ] || { cgo=0 flags="$(GOFLAGS)"; echo "notice: no working C compiler ($$(go env CC)), so the tests run without the race detector"; }; \
	set -x; CGO_ENABLED=$$cgo GOFLAGS="$$flags" go test $$race -count=1 -timeout 15m $(VETTED) $(TESTFLAGS) ./lab/... ./services/... ./shared/... ./migrations/... && \
	{ [ -z "$$race" ] || { go test -count=1 $(VETTED) -run '^Test($(subst $() ,|,$(strip $(WITHOUT_RACE))))$$' ./lab/clienttest ./lab/e2etest ./lab/fidelity ./lab/retrieval ./services/sluice/cli && \
		go test -count=1 $(VETTED) ./services/chunk-writer/chunk ./services/extractor/... ./shared/embedding; }; }

test-foreign: ## read the Confluence stand-in with a third-party client from npm (needs Node and npm)
	go test -count=1 -tags foreign -run '^TestForeignClient$$' ./lab/clienttest

test-tika: ## have a real Apache Tika, from Maven Central, read what the extractor does not (needs Java)
	go test -count=1 -tags foreign -run '^TestForeignTika$$' ./services/sluice/cli

test-renderers: ## let other Markdown renderers, from npm, PyPI and Go, find nothing live in ours (needs Node and Python)
	go test -count=1 -tags foreign -run '^TestForeignRenderers$$' ./services/converter/markdown

test-mcp: ## let the official MCP clients, from npm and PyPI, read the demo; 50 sessions at once (needs Node and Python)
	go test -count=1 -timeout 20m -tags foreign -run '^TestForeignAssistants$$' ./lab/clienttest
	go test -count=1 -v -tags foreign -run '^TestManyAssistantsAtOnce$$' ./services/gateway/gateway

test-console: ## walk through the console in a headless Chromium (needs one; Debian: apt-get install chromium)
	go test -count=1 -timeout 10m -tags browser -run '^Test(APersonWalksThroughTheConsole|EveryViewOfTheConsoleInABrowser)$$' ./lab/e2etest

screenshots: ## pictures of the console's views, light and dark, desktop and phone, into bin/screenshots (needs Chromium)
	go test -count=1 -timeout 10m -tags browser -run '^TestEveryViewOfTheConsoleInABrowser$$' ./lab/e2etest -screenshots $(abspath bin/screenshots)

test-openapi: ## check the stand-in's answers and the table of routes against Atlassian's OpenAPI documents (OPENAPI=folder)
	@[ -n "$(OPENAPI)" ] || { echo "say where the documents are: make test-openapi OPENAPI=folder (docs/sandbox.md)"; exit 1; }
	SANDBOX_OPENAPI="$(abspath $(OPENAPI))" go test -count=1 -tags openapi -run 'TheOfficialDocument' ./services/sandbox/sandbox ./lab/clienttest

test-pooler: ## the store's tests through PgBouncer in transaction mode
	SLUICE_TEST_POOLER=1 go test -count=1 ./shared/store/...

torture: ## kill processes mid-run, then compare with an undisturbed run (SEEDS=20, PAGES=2000; SEED=7 repeats one)
	go test -count=1 -v -timeout 0 ./lab/torture -vectors -pages $(PAGES) $(if $(SEED),-seed $(SEED),-seeds $(SEEDS))

# vet has seen the tests' code by then; go test would look at all of it again.
check: VETTED = -vet=off
check: lint vet build isolate tidy test ## everything that a change has to pass

audit: build $(if $(AUDIT_OFFLINE),,$(VULNCHECK)) $(CYCLONEDX) ## scan for vulnerabilities and licenses, write SBOMs to bin/sbom (VULNDB=url of a copy of the database, AUDIT_OFFLINE=1 without)
	@echo "=== audit ==="
	@rm -rf bin/audit bin/sbom && mkdir -p bin/audit bin/sbom
	@set -e; for p in $(PROGRAMS); do \
		echo "parts of $$p"; \
		$(CYCLONEDX) bin -json -std -licenses -noserial -notimestamp -version v0.0.0 -output bin/sbom/$$p.cdx.json bin/$$p 2>bin/audit/$$p.log || { cat bin/audit/$$p.log; exit 1; }; \
	done
	$(if $(AUDIT_OFFLINE),@echo "NOT RUN: govulncheck (AUDIT_OFFLINE)",@set -e; for m in $(MODULES); do \
		echo "vulnerabilities in $$m"; (cd $$m && GOWORK=off ../$(VULNCHECK) $(if $(VULNDB),-db $(VULNDB)) -test -format json ./...) >bin/audit/govulncheck-$$m.json; \
	done)
	go run ./lab/audit/report $(if $(AUDIT_OFFLINE),,$(foreach m,$(MODULES),govulncheck=bin/audit/govulncheck-$(m).json)) $(foreach p,$(PROGRAMS),license=bin/sbom/$(p).cdx.json)

fmt: $(LINT) ## format the code
	$(LINT) fmt $(PACKAGES)

lint: $(LINT) ## format and lint rules, without changing anything
	@echo "=== lint ==="
	@unformatted=$$(gofmt -l $(MODULES)); [ -z "$$unformatted" ] || { echo "not formatted (make fmt): $$unformatted"; exit 1; }
	$(LINT) run $(PACKAGES)

vet: ## go vet
	@echo "=== vet ==="
	go vet $(PACKAGES)
	go vet -tags foreign,openapi,browser ./lab/e2etest/... ./services/sandbox/... ./services/converter/... ./services/gateway/... ./services/sluice/... ./lab/clienttest/...

build: ## a static binary of every program, into bin/
	@echo "=== build ==="
	go build -ldflags="-s -w" -o bin/ $(addprefix ./services/,$(PROGRAMS))

# go list -export compiles everything and links nothing: the programs are linked by make build.
isolate: ## build every module without the workspace, as users of it do
	@echo "=== every module by itself ==="
	@for m in $(MODULES); do echo "$$m"; (cd $$m && GOWORK=off go list -export ./... >/dev/null) || exit 1; done

tidy: ## fail when a go.mod is not tidy
	@echo "=== tidy ==="
	@for m in $(MODULES); do echo "$$m"; (cd $$m && GOWORK=off go mod tidy -diff) || exit 1; done

docs: ## generate .env.example, docs/configuration.md, NATS permissions and migrations/schema.sql
	go test -count=1 ./lab/house -run 'TestSettingsAreDocumented|TestTheBrokersPermissionsAreInStep' -update
	go test -count=1 ./shared/store -run TestTheSchemaFileIsInStep -update

permissions: ## compare what readers see with what random sites show (CASES=10000, SEED=1, DEEP=1: every comparison through every face)
	go test -count=1 -v ./lab/permissiontest -run TestWhatReadersSeeIsWhatTheSiteShows -cases $(or $(CASES),10000) -deep $(or $(DEEP),1) -seed $(or $(SEED),1)

permissions-search: ## how long a search takes as a reader of 5 %, 50 % and all pages, beside no filter (PAGES=20000, five chunks each)
	go test -count=1 -v -timeout 2h ./lab/permissiontest -run TestWhatAReadersSearchCosts -searched $(or $(PAGES),20000) -searches 200

fidelity: ## score the conversion to Markdown and the extraction of files on known ones (DIR=folder of storage bodies)
	$(if $(DIR),go run ./lab/fidelity/score $(DIR),go test -count=1 -v -run 'GoldenPages|ExtractedFiles' ./lab/fidelity)

hostile: ## read files that try to break or exhaust the extractor, and print the slowest and the largest
	go test -count=1 -v -run HostileFiles ./services/extractor/extract -each 1 | grep -v '^ *\(===\|---\)'

retrieval: ## how well search answers a set of questions (RETRIEVAL=folder with pages.jsonl and questions.jsonl, else our own; RETRIEVAL_ARGS="-weights 0.3,0.5", -words)
	@go run -buildvcs=false ./lab/retrieval/measure $(RETRIEVAL_ARGS) $(RETRIEVAL)

fuzz: ## run every fuzz target for FUZZTIME (20s)
	@set -e; for f in $$(grep -rl '^func Fuzz' --include='*_test.go' $(MODULES)); do \
		for t in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$f); do \
			echo "$$f: $$t"; \
			go test -run '^$$' -fuzz "^$$t\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$f); \
		done; \
	done

bench: ## measure everything from end to end and write docs/bench/benchmarks.md, in about half an hour (BENCH=small: check that every part works; BENCH_ARGS="-only full", ROUNDS=3)
	go build -o .cache/bench/bench ./lab/bench/sluice-bench
	.cache/bench/bench -peers .cache/peers/results.json $(if $(filter small,$(BENCH)),-form small,-rounds $(ROUNDS) -raw .cache/bench/results.json $(if $(BENCH_ARGS),,-write docs/bench/benchmarks.md)) $(BENCH_ARGS)

microbench: ## run the benchmarks of single functions
	go test -run '^$$' -bench . -benchmem $(PACKAGES)

bench-store: ## measure the store: writing against plain COPY, edits, search (BENCHTIME=10s)
	go test -count=1 -timeout 60m -run '^$$' -bench '^Benchmark(WritePage|Edit|Search)' -benchtime $(BENCHTIME) ./shared/store ./shared/store/search

bench-peers: ## compare with what people use today, into docs/bench/benchmarks-peers.md; needs Python 3.10, Node 18 and npm (PAGES=1000,4000, ROUNDS=3, SLOW=1000, LIMITED=200; ONLY=vectors: a space searchable by words and by meaning)
	@go build -buildvcs=false -o bin/ ./services/sluice
	@go build -buildvcs=false -o bin/bench-peers ./lab/bench/peers/bench-peers
	@bin/bench-peers -pages $(if $(filter file,$(origin PAGES)),1000,$(PAGES)) -rounds $(or $(ROUNDS),3) -limited $(or $(LIMITED),200) $(if $(SLOW),-slow $(SLOW)) $(if $(ONLY),-only $(ONLY)) -raw .cache/peers/results.json

cover: ## measure test coverage, into cover.out
	go test -count=1 -timeout 15m -coverprofile=cover.out -coverpkg=./migrations/...,./shared/...,./services/... $(PACKAGES)
	go tool cover -func=cover.out | tail -n 1

clean: ## remove build output; .cache with the tools stays
	rm -rf bin cover.out

$(LINT):
	@echo "=== golangci-lint $(LINT_VERSION), compiled from source (some minutes, once) ==="
	GOWORK=off GOFLAGS= GOBIN=$(abspath $(@D)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

# tool compiles a program of a module's at the version that its folder in .cache is named after.
define tool
	@echo "=== $(@F), compiled from source (some minutes, once) ==="
	GOWORK=off GOFLAGS= GOBIN=$(abspath $(@D)) go install $(1)@$(patsubst $(@F)-%,%,$(notdir $(@D)))
endef

$(VULNCHECK):
	$(call tool,golang.org/x/vuln/cmd/govulncheck)

$(CYCLONEDX):
	$(call tool,github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)
