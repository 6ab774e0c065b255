# The only task runner: what works here works in CI, which runs `make test`.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.SILENT: help

TARGET := $(or $(CARGO_TARGET_DIR),target)
WASM := wasm32-unknown-unknown
BARE := x86_64-unknown-none
SERVER := $(TARGET)/release/swarmlet-signaller
NODE_MODULES := tests/browser/node_modules
PYTHON := $(TARGET)/python/bin/python

# Leaves are hashed four at a time by wasm's vector instructions (wasm/src/hash.rs), which every browser that has data channels
# has; sha2 hashes what is small, so its smallest code will do.
# A little inlining makes the module smaller (9 of 0, 6, 9, 12, 16, 20, 30 tried), and no paths of this machine belong in it.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS := -Ctarget-feature=+simd128 -Cllvm-args=-inline-threshold=9 \
	--cfg sha2_backend="soft" --cfg sha2_backend_soft="compact" \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/=
# curve25519-dalek would choose its AVX2 code, which a target without vector registers cannot compile.
export CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS := --cfg curve25519_dalek_backend="serial"
export CHROMIUM ?= /usr/bin/chromium
export CHROMEDRIVER ?= /usr/bin/chromedriver
export FIREFOX ?= /usr/bin/firefox-esr

help: ## list the targets
	echo 'make run    builds everything and opens a server on http://127.0.0.1:8787 (needs Rust only)'
	echo 'make test   runs everything that CI runs (needs Rust, Node.js, Chromium, Firefox; installs what it can)'
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ See it work
run: build ## build, then serve the page and a peer with a sample on http://127.0.0.1:8787
	$(SERVER) serve --addr 127.0.0.1:8787 --www www --seed www/sample

demo: build $(NODE_MODULES) ## a web site of somebody else's, on nginx, that its visitors share
	.ci/need nginx && .ci/need ffmpeg
	node tests/browser/demo.mjs

build: wasm ## release server, and the wasm module in www/pkg
	cargo build --release -p swarmlet-signaller

wasm: ## the page's module and its glue in www/pkg
	.ci/need $(WASM)
	cargo build --profile wasm -p swarmlet-wasm -p swarmlet-keys -p swarmlet-overlay --target $(WASM)
	for module in wasm keys overlay; do \
		cargo run --release --quiet -p swarmlet-bindgen -- $(TARGET)/$(WASM)/wasm/swarmlet_$$module.wasm www/pkg || exit 1; done

##@ Check it
test: check nostd unit sim-wasm cross-check wasm-test e2e operate size ## everything that CI runs
	@echo 'make test: all passed'

check: wasm $(NODE_MODULES) ## format, lints, documentation, types of the page's scripts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p swarmlet-wasm --all-targets --target $(WASM) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps
	$(NODE_MODULES)/.bin/tsc --noEmit -p www
	$(NODE_MODULES)/.bin/tsc --noEmit -p www/sw

nostd: ## the core on a target that has no standard library
	.ci/need $(BARE)
	cargo build -p swarmlet-core --target $(BARE)

unit: ## unit, property, integration tests and the simulator's stories
	.ci/need redis
	cargo test --workspace

sim-wasm: ## the same simulated runs natively and in wasm under Node.js, event for event [SEEDS=20]
	.ci/need $(WASM) && .ci/need node
	cargo build --release -p swarmlet-tests --example traces
	cargo rustc --release -p swarmlet-tests --lib --target $(WASM) --crate-type cdylib
	node tests/simulation/compare.mjs $(TARGET)/release/examples/traces $(TARGET)/$(WASM)/release/swarmlet_tests.wasm \
		$(or $(SEEDS),20)

cross-check: ## our .torrent files against those of libtorrent
	.ci/need libtorrent $(TARGET)/python
	PYTHON=$(PYTHON) tests/content/cross-check.sh

wasm-test: ## the wasm crate's tests in headless Chromium
	.ci/need $(WASM) && .ci/need browser
	cargo build --release -p swarmlet-bindgen --features test-runner
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(abspath $(TARGET))/release/swarmlet-wasm-test-runner \
		cargo test -p swarmlet-wasm --target $(WASM)

e2e: build $(NODE_MODULES) tests/browser/webtorrent/node_modules ## pages that swarm in a real browser [SPEC=tests/browser/x.spec.mjs]
	.ci/need browser && .ci/need firefox && .ci/need nginx && .ci/need ffmpeg
	node --test --test-concurrency=1 --test-reporter=spec $(or $(SPEC),$(wildcard tests/browser/*.spec.mjs))

operate: build ## the steps of docs/OPERATING.md on a clean folder, with the release server
	tests/operating/walkthrough.sh $(SERVER)

##@ Measure it
size: wasm ## bytes of the page's critical path and of the module, raw, gzip, brotli
	.ci/need node
	node tests/browser/size.mjs

bench-browser: build $(NODE_MODULES) tests/browser/webtorrent/node_modules ## JSON lines: a raw data channel, Swarmlet, WebTorrent in turn [MIB=256 REPS=1 STORAGE= LEECHERS= RIVALS= TASKS= RECORD=1]; [SCENE=hidden: pages that nobody looks at, HIDE=both VISIBLE=60 HIDDEN=180]
	@.ci/need browser
	@node tests/browser/$(if $(filter hidden,$(SCENE)),hidden,bench).mjs

bench-site: build $(NODE_MODULES) ## JSON lines: page load and film start with the embed and nobody to share with, beside plain HTTP, in pairs, with 95 % intervals [LOADS=20 CASE=closed|open|same RTT=0]
	@.ci/need browser && .ci/need nginx && .ci/need ffmpeg
	@node tests/browser/bench-site.mjs

bench: ## micro-benchmarks: picker, hash tree, codec [BENCH=picker]
	cargo bench --quiet -p swarmlet-tests --bench micro -- $(BENCH)

bench-native: build $(NODE_MODULES) ## one JSON line: peers of the command line and pages against raw channels of the same pairs [MIB=256 REPS=1]
	@.ci/need browser
	@cargo build --quiet --release -p swarmlet-signaller --example raw
	@node tests/browser/bench-native.mjs

net-test: build $(NODE_MODULES) ## peers and pages over shaped lines in network namespaces, as root; [SCENE=check|ladder|pace|swarm, RECORD=1 with swarm]
	.ci/need network && .ci/need browser
	cargo build --quiet --release -p swarmlet-net -p swarmlet-tests --bins
	for scene in $(or $(SCENE),check ladder pace swarm); do DEADLINE_MS=120000 node tests/net/$$scene.mjs || exit 1; done

soak: ## peers that come, take and go all the time: what the process holds before and after [MINUTES=30]
	MALLOC_ARENA_MAX=2 SOAK_MINUTES=$(or $(MINUTES),30) cargo test -p swarmlet-signaller --test seed_soak -- --nocapture

bench-signaller: tests/browser/webtorrent/node_modules ## our signaller beside other trackers, a JSON line each [SCENE=announces SECONDS=10 AQUATIC_WS= WT_TRACKER=]
	cargo build --release -p swarmlet-signaller
	node tests/signaller/bench.mjs $(SCENE)

sim: ## the simulator, one run [STORY="flash-crowd --peers 50 --seed 7"]
	cargo run --release --quiet -p swarmlet-tests --bin sim -- $(or $(STORY),flash-crowd)

results: ## every goal's command in the simulator, half an hour on two calm cores: docs/RESULTS.md and docs/plots [RESULTS="--keep DIR --quick --out DIR"]
	cargo run --release --quiet -p swarmlet-tests --bin sim -- report $(RESULTS)

measured: ## puts what real peers came to with RECORD=1 into docs/RESULTS.md, and runs nothing
	cargo run --release --quiet -p swarmlet-tests --bin sim -- report --measured

fuzz: ## decoders and a whole node against random bytes, on nightly Rust [T=wire_frame S=60]
	cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --version 0.13.2 --locked
	for target in $(or $(T),$$(cargo +nightly fuzz list)); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(or $(S),60) || exit 1; done

clean: ## remove what was built
	cargo clean
	rm -rf www/pkg $(NODE_MODULES) tests/browser/webtorrent/node_modules tests/browser/out

%/node_modules: %/package-lock.json
	.ci/need node
	npm ci --prefix $* --no-audit --no-fund --ignore-scripts
	touch $@

.PHONY: help run demo build wasm test check nostd unit sim-wasm cross-check wasm-test e2e operate size bench-browser bench-native bench-site net-test soak bench-signaller bench sim results measured fuzz clean
