# Outcrop. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
include .versions
export GOFLAGS ?= -trimpath
TOOLS := .tools
FUZZ ?= 1m
VENV := .venv
PY := $(CURDIR)/$(VENV)/bin/python

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

build: ## bin/outcrop
	CGO_ENABLED=0 go build -ldflags '-s -w' -o bin/outcrop ./cmd/outcrop

demo: ## the main job, over the wire, on a real local model
	go run ./cmd/outcrop demo

test: ## everything CI runs (installs what it needs)
	./test/run

race: ## unit tests with the race detector
	go test -race ./internal/... ./cmd/...

lint: $(TOOLS)/golangci-lint ## go vet and golangci-lint
	go vet ./...
	$(TOOLS)/golangci-lint run

generate: ## internal/api from the service models, the tables of the README
	go generate ./internal/api
	go run ./cmd/outcrop operations -markdown | ./test/readme

generated: generate ## fails when generated files are stale
	git diff --exit-code -- internal/api README.md

accept: build $(VENV)/ready test/sdk/js/node_modules ## the unchanged AWS CLI and SDKs at the door
	OUTCROP_TEST_PYTHON=$(PY) OUTCROP_TEST_BIN=$(CURDIR)/bin/outcrop go test -count=1 ./test/acceptance ./test/sdk/...

bench: build ## figures beside the same figures without the server; writes docs/benchmarks.md
	go run ./test/bench -bin bin/outcrop -write docs/benchmarks.md

bench-tools: ## 30 tool-calling tasks on the default package-index model
	go run ./test/tools/cmd/toolbench

bench-retrieval: ## vector and word search beside rivals, recall on real embeddings (half an hour the first time, then 6 min)
	go run ./test/retrieval -write docs/benchmarks-retrieval.md

fuzz: ## every fuzz target for 30 s
	./test/fuzz 30s

cross: ## compile for Linux, macOS and Windows on amd64 and arm64
	for os in linux darwin windows; do for arch in amd64 arm64; do \
	  echo $$os/$$arch; CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -o /dev/null ./cmd/outcrop; done; done

verify: ## the long runs: make test, fuzzing (FUZZ=1m a target), kills and power cuts at length, cross-compiles
	$(MAKE) test
	$(MAKE) cross
	OUTCROP_FAULT_STRIDE=1 OUTCROP_CRASH_KILLS=500 OUTCROP_CRASH_CUTS=300 go test -count=1 -timeout 90m ./test/crash
	OUTCROP_CORPUS=all go test -count=1 -timeout 20m ./test/corpus
	OUTCROP_REAL_MODEL=1 go test -count=1 -timeout 30m -run Real ./internal/engine/... ./internal/inference ./internal/knowledge/rag
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)
	OUTCROP_S3_SUITE=$(CURDIR)/$(TOOLS)/versitygw OUTCROP_TEST_PYTHON=$(PY) go test -count=1 -timeout 30m ./internal/neighbour/s3
	./test/fuzz $(FUZZ)

clean: ## what was built and installed here
	rm -rf bin .venv .tools test/sdk/js/node_modules test/oracle/node_modules

$(TOOLS)/golangci-lint: .versions
	GOBIN=$(CURDIR)/$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)

$(VENV)/ready: .versions
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check boto3==$(BOTO3) awscli==$(AWSCLI) "moto[server,s3]==$(MOTO)"
	touch $@

test/sdk/js/node_modules: test/sdk/js/package-lock.json
	cd test/sdk/js && npm ci --no-audit --no-fund --loglevel=error
	touch $@

.PHONY: help build demo test race lint generate generated accept bench bench-tools bench-retrieval fuzz cross verify clean
