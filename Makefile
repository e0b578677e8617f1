# One way to do each thing. `make help` lists what there is.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE   ?= ghcr.io/starling-lb/starling:v0.1.0
ARCHES  ?= amd64 arm64 arm s390x ppc64le
LDFLAGS  = -s -w -X main.stamped=$(VERSION)
BINARIES = $(ARCHES:%=dist/starling-linux-%)

export GOFLAGS ?= -buildvcs=false

.DEFAULT_GOAL := check

.PHONY: check
check: test ## everything that must hold before a change lands (the default)

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: root go deps ## the whole promise on a real cluster on this machine; KEEP=1 leaves it running
	@KEEP=$(KEEP) CGO_ENABLED=0 go -C e2e run ./cmd/demo

.PHONY: demo-down
demo-down: root ## remove what a kept or interrupted demo left behind
	@CGO_ENABLED=0 go -C e2e run ./cmd/demo down

.PHONY: test
test: root deps lint unit checks browser e2e ## linters, unit and wire tests with the race detector, and the cluster tests

# The explorations and simulations, and the stories of package speaker, are run whole only without the race detector, which
# makes them ten times as slow and looks at the same code in each: with it some of each kind run. The explorations of the
# leases print what they have seen.
#
# With the race detector each test program uses one processor (-cpu 1). Go 1.26 gives all timers of a synctest bubble one race
# context, which two processors use at the same moment: then the detector itself crashes. It finds races on one processor too.
# Package speaker takes longest, so it starts first.
.PHONY: unit
unit: ## unit tests and, as root, wire tests in network namespaces, with the race detector
	go test -race -cpu 1 -timeout 30m ./speaker ./...
	CGO_ENABLED=0 go -C scripts/release test ./...
	go test -count=1 ./mesh
	go test -count=1 -run GoBGP ./bgp
	go test -count=1 -run 'TestExplore|TestEveryGuardMatters|TestSimulate|TestChoiceSpreads' -v ./lease
	go test -count=1 -timeout 30m ./speaker -seeds 200
	@$(MAKE) --no-print-directory necessity

.PHONY: simulate
simulate: ## random faults against five speakers in virtual time, SEEDS=2000 times forty; about half a second for each seed
	go test -count=1 -timeout 2h -failfast -run '^TestSimulate$$' ./speaker -seeds $(or $(SEEDS),2000)

.PHONY: necessity
necessity: ## weaken each rule of the protocols on the wire: some scenario must go wrong, or the rule is not needed
	go -C speaker test -count=1 -run '^TestNecessity$$' -necessity

# Built without cgo like the linters, whose compiled packages it shares. What it reads is outside of its module, so Go would not
# notice that results it keeps are old. Helm is compiled before, because for the first time that takes minutes.
.PHONY: checks
checks: ## the alerts, the dashboard and the ways to install, read by Prometheus, Helm and kustomize
	@CGO_ENABLED=0 go -C checks tool -n helm >/dev/null
	CGO_ENABLED=0 go -C checks test -count=1 ./...

# cmd/kube and its like are a few lines around all of Kubernetes, without tests: naming them would compile and vet
# everything once more. The linters vet the rest.
.PHONY: e2e
e2e: root deps ## tests on a real Kubernetes cluster on this machine
	cd e2e && CGO_ENABLED=0 go test -vet=off -p 1 -count=1 -timeout 40m $$(go list ./... | grep -vE '/cmd/(kube|containerd|shim)$$')

.PHONY: browser
browser: ## tests of the status page in headless Chromium; SCREENSHOTS=DIR leaves pictures there
	@scripts/deps browser
	cd e2e/browser && CGO_ENABLED=0 STARLING_SCREENSHOTS=$(SCREENSHOTS) go test -vet=off -count=1 .

.PHONY: pictures
pictures: root deps ## docs/status-page.png and docs/cli.svg, from a real cluster whose node died a moment ago
	@scripts/deps browser
	@CGO_ENABLED=0 go -C e2e run ./cmd/pictures

.PHONY: lint
lint: ## formatter, linters and import directions
	@scripts/lint

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities alone, as the workflow asks each day; GOVULNDB names a copy of the database
	@scripts/lint --vulnerabilities

.PHONY: bench
bench: ## benchmarks of the packages; as root also those of the wire, beside the kernel, a C program and arping
	@[ "$$(id -u)" != 0 ] || scripts/deps bench
	go test -run '^$$' -bench . ./...

.PHONY: bench-mesh
bench-mesh: ## how the gossip grows from 10 to 500 members, in virtual time; some minutes
	STARLING_MEMBERS=10,50,100,200,500 go test -count=1 -run '^TestGrowth$$' -v -timeout 30m ./mesh

.PHONY: skew
skew: root deps ## speakers of the last release and of this tree in one mesh, under faults for ten minutes (SKEW=10m)
	cd e2e && CGO_ENABLED=0 STARLING_E2E_SKEW=$(or $(SKEW),10m) go test -vet=off -count=1 -timeout 60m -v -run '^TestSkew$$' .

# Services come and go meanwhile, and the whole history of the wire and of the leases is checked afterwards.
.PHONY: chaos
chaos: root deps ## COUNT=100 random faults in a row on a real cluster, the same for one SEED; about 3 s for each
	@CGO_ENABLED=0 go -C e2e run ./cmd/chaos -count $(or $(COUNT),100) $(if $(SEED),-seed $(SEED))

# ROW=kubernetes-1.35 and ROW=kubernetes-1.34 compile Kubernetes once more, which may take an hour, so only who names them has them.
.PHONY: matrix
matrix: root deps ## kube-proxy in other modes, a silent replacement of it, IPv6 alone, and a pod network, each on a cluster of its own; ROW=name for one
	cd e2e && CGO_ENABLED=0 STARLING_E2E_MATRIX=$(or $(ROW),1) go test -vet=off -count=1 -timeout 150m -v -run '^TestMatrix$$$(if $(ROW),/$(ROW))' ./matrix

.PHONY: bench-e2e
bench-e2e: root ## benchmarks on a real cluster on this machine: allocation, and fail-over beside keepalived; more than an hour
	@scripts/deps bench
	@CGO_ENABLED=0 go -C e2e run ./cmd/bench leases
	@CGO_ENABLED=0 go -C e2e run ./cmd/bench faults

.PHONY: build
build: ## bin/starling for this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/starling ./cmd/starling

.PHONY: image
image: $(BINARIES) sbom ## dist/starling-image.tar for ctr images import and the like, without a container engine
	CGO_ENABLED=0 go -C scripts/release run ./cmd/image -ref $(IMAGE) -out $(CURDIR)/dist/starling-image.tar $(foreach a,$(ARCHES),$(a)=$(CURDIR)/dist/starling-linux-$(a))

.PHONY: $(BINARIES)
$(BINARIES): dist/starling-linux-%:
	CGO_ENABLED=0 GOOS=linux GOARCH=$* GOARM=7 go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/starling

.PHONY: sbom
sbom: $(BINARIES) ## what is in the programs of the image, as CycloneDX: dist/*.cdx.json
	for a in $(ARCHES); do CGO_ENABLED=0 go -C scripts/release tool cyclonedx-gomod bin -json -noserial -notimestamp -std -version $(VERSION) -output $(CURDIR)/dist/starling-linux-$$a.cdx.json $(CURDIR)/dist/starling-linux-$$a || exit 1; done

# For people's own machines; the speaker runs on Linux.
DARWIN_ARCHES ?= amd64 arm64
DARWIN = $(DARWIN_ARCHES:%=dist/starling-darwin-%)
.PHONY: $(DARWIN)
$(DARWIN): dist/starling-darwin-%:
	CGO_ENABLED=0 GOOS=darwin GOARCH=$* go build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/starling

REGISTRY ?= ghcr.io/starling-lb
OUT      ?= $(CURDIR)/dist/$(VERSION)
BUILDER  ?= https://github.com/starling-lb/starling/blob/main/docs/releasing.md\#by-hand

.PHONY: release
release: $(BINARIES) $(DARWIN) sbom ## all files of VERSION=v0.2.0 into dist/v0.2.0; PUSH=1 also pushes image and chart to REGISTRY
	CGO_ENABLED=0 go -C scripts/release run . -version $(VERSION) -registry $(REGISTRY) -revision $$(git rev-parse HEAD) -builder $(BUILDER) \
		-programs $(CURDIR)/dist -arches $(subst $(space),$(comma),$(ARCHES)) -darwin=$(subst $(space),$(comma),$(DARWIN_ARCHES)) -out $(OUT) $(if $(PUSH),-push)

.PHONY: sign
sign: ## sign what make release VERSION=v0.2.0 PUSH=1 has pushed, with COSIGN_KEY, or keyless by cosign, which is compiled for that
	scripts/sign $(OUT)

.PHONY: release-check
release-check: ## sign a release on a registry of the loopback, and verify it by cosign itself, as docs/releasing.md says; compiles cosign
	CGO_ENABLED=0 go -C scripts/release test -count=1 -run '^TestSigned$$' . -cosign

comma := ,
space := $() $()

.PHONY: manifests
manifests: ## manifests/starling.yaml from the kustomize base
	go run ./scripts/render

.PHONY: reference
reference: ## docs/reference.md from flags, comments and metrics of the code, and the JSON schema of the configuration
	UPDATE_REFERENCE=1 go test -count=1 -run '^TestReference$$' ./cmd/starling
	UPDATE_REFERENCE=1 go test -count=1 -run '^TestSchema$$' ./manifests

.PHONY: deps
deps: ## the Debian packages that demo and tests need
	@scripts/deps

.PHONY: root
root:
	@test "$$(id -u)" = 0 || { echo "make $(MAKECMDGOALS): needs root, for network namespaces and packages: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

# The module of the cluster wants the newer Go. A Go since 1.21 downloads it.
.PHONY: go
go:
	@command -v go >/dev/null || { echo "make $(MAKECMDGOALS): no go in PATH. It needs Go 1.21 or later, see https://go.dev/dl; with sudo: sudo env PATH=\$$PATH make $(MAKECMDGOALS)" >&2; exit 1; }

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
