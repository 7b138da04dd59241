# All targets use the release profile, so that each big dependency is compiled only once. After `make setup`, plain
# cargo commands work, too.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
BLAZETUNE := target/release/blazetune

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: ## fetch libtorch and MediaPipe's weights, and build the dashboard
	@docker/setup.sh

setup-test: ## run setup, and fetch what the tests need
	@docker/setup.sh test

build: setup ## build target/release/blazetune
	$(CARGO) build --release --locked

# A separate folder keeps the two builds from overwriting each other.
small_dir := target/small
SMALL_MB := 40

build-small: ## build target/small/release/blazetune without libtorch, for the short-range network on any CPU
	@docker/setup.sh small
	$(CARGO) build --release --locked --no-default-features --target-dir $(small_dir)

demo: build ## fine-tune on drawn pictures and watch it in a browser
	$(BLAZETUNE) demo

test: export BLAZETUNE_TEST_SKIPS = $(skips)
test: setup-test ## check and test everything as CI does, and list what was skipped
	@rm -f $(skips)
	@$(call step,format)
	$(CARGO) fmt --check
	npm --prefix web run check
	@$(call step,lint)
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	$(fuzz_check)
	docker/sqlx-prepare.sh --check
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --no-deps --document-private-items
	@$(call step,Rust tests)
	$(CARGO) test --release --locked
	@$(call step,browser tests)
	$(CARGO) build --release --locked
	BLAZETUNE_BIN=$(CURDIR)/$(BLAZETUNE) npm --prefix web test
	@$(not_checked)

# fuzz/ compiles files of src/weights, src/model and src/data, and a new import in one of them can break it. `cargo
# check` does not link, so any path will do for libFuzzer. Building libFuzzer would take half a minute.
fuzz_check := CUSTOM_LIBFUZZER_PATH=none/libnone.a $(CARGO) check --release --locked --manifest-path fuzz/Cargo.toml \
	--target-dir target/fuzz

# A test whose requirements are missing adds a line to this file: `reason<TAB>test`. On CI, it fails instead.
skips := $(CURDIR)/target/skipped-tests
not_checked = [[ ! -s $(skips) ]] || { $(call step,skipped on this machine) && \
	sort -u $(skips) | awk -F'\t' '$$1 != last { print $$1 ":" } { last = $$1; print "    " $$2 }'; }

# CI has files next to its checkout that we may not publish, and a processor with AVX-512. Users may have neither.
elsewhere := env -u CI BLAZETUNE_TEST_WITHOUT_SHARED=1
old_processor := BLAZETUNE_KERNELS=plain ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2

test-elsewhere: setup-test ## run the Rust tests as on a user's machine, and the numerical ones as on an old processor
	@$(call step,Rust tests without ../shared)
	$(elsewhere) $(CARGO) test --release --locked
	@$(call step,numerical Rust tests without AVX)
	$(elsewhere) $(old_processor) $(CARGO) test --release --locked --lib --test engine --test model --test device \
		--test weights --test evaluate --test worker
	$(elsewhere) $(old_processor) $(CARGO) test --release --locked --test api weights::

# Here both builds share one folder, so they share their dependencies. Cargo replaces only the binary, which is quick.
test-small: small_dir := target
test-small: setup-test keep-whole build-small ## test the build without libtorch, and compare the two builds
	@$(call step,the build without libtorch)
	docker/check-small.sh $(BLAZETUNE) $(SMALL_MB)
	BLAZETUNE_OTHER_BUILD=$(CURDIR)/$(whole) $(CARGO) test --release --locked --no-default-features \
		--lib --test worker --test evaluate --test api
	$(CARGO) build --release --locked

whole := target/whole-blazetune
keep-whole:
	$(CARGO) build --release --locked
	cp $(BLAZETUNE) $(whole)

bench: setup-test ## measure speed and write target/bench.json (QUICK=1 takes two minutes)
	$(CARGO) bench --locked --bench step -- --rounds $(if $(QUICK),1,3)
	$(CARGO) bench --locked --bench speed -- $(if $(QUICK),--quick)

soak: setup ## break jobs at random for a while and check that none is lost
	$(CARGO) test --release --locked --test worker -- --ignored --nocapture fifty
	$(CARGO) test --release --locked --test api -- --ignored --nocapture soak

fmt: ## format the code
	$(CARGO) fmt

clean: ## remove build outputs, but keep .deps and data
	$(CARGO) clean
	rm -rf web/dist web/test-results

step = printf '\n== %s\n' '$(1)'

.PHONY: help setup setup-test build build-small demo test test-elsewhere test-small keep-whole soak bench fmt clean
