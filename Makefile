# All commands of the project. Each creates what it needs: a virtual environment in .venv, with the wheel in it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := Cargo.toml Cargo.lock pyproject.toml README.md LICENSE $(shell find src python -type f -not -name '*.pyc')
# For other interpreters: the group of packages that tests need, and the crate's feature for the extension.
TEST_GROUP ?= test
FEATURES ?= python
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 3600
# The targets of `make wheels`; Rust needs the standard library of each, from `rustup target add`.
LINUX := $(foreach libc,gnu musl,x86_64-unknown-linux-$(libc) aarch64-unknown-linux-$(libc))
MACOS := aarch64-apple-darwin x86_64-apple-darwin
WINDOWS := x86_64-pc-windows-gnu
# For these targets, Rust code can be checked here, but not linked, which requires libraries of Microsoft.
MSVC := x86_64 aarch64
ARM64 := aarch64-unknown-linux-gnu
MUSL := x86_64-unknown-linux-musl
# The C compiler and linker for other systems is found by the Python of that virtual environment.
FIND_ZIG := PATH="$(CURDIR)/$(BIN):$$PATH"
CROSS_WHEEL := $(FIND_ZIG) maturin build --release --locked --zig --out dist
WITH_ZIG := $(FIND_ZIG) cargo-zigbuild
# The crate's tests for arm64, in an emulator.
IN_ARM64 := CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu' \
	cargo test --locked --profile fast --target $(ARM64)
# The crate's tests for Windows, under wine, one after the other, because threads wake each other slowly there. Wine cannot
# replace an open file, and does not record when a file was created, so tests that need this are skipped.
IN_WINE := CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER='$(CURDIR)/$(BIN)/python $(CURDIR)/tests/wine.py' \
	cargo test --locked --profile fast --target $(WINDOWS)
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
# The fuzz targets without the engine that drives them; they share what is built for the crate.
IN_FUZZ := --locked --manifest-path fuzz/Cargo.toml --target-dir target --no-default-features
IN_INTERLEAVINGS := --locked --manifest-path interleavings/Cargo.toml --target-dir target

.PHONY: help
help: ## Print these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: demo
demo: $(VENV)/installed ## Capture a real text, read it back, follow and check it from a second process
	rm -f target/demo.capture
	$(BIN)/python examples/demo.py --file target/demo.capture

.PHONY: test
test: lint docs test-rust test-interleavings test-fuzz test-python ## Run all checks and tests

.PHONY: test-all
test-all: test ## Run all checks and tests, including the optional suites: test-frames, test-view, ..., test-data
	$(PYTHON) tests/optional_suites.py

.PHONY: lint
lint: $(VENV)/tools $(VENV)/writers $(VENV)/installed ## Check format, lints, types and stubs
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	cargo clippy --locked --all-targets --features python -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --no-deps
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy $(IN_FUZZ) --lib --tests -- --deny warnings
	cargo fmt --manifest-path interleavings/Cargo.toml --check
	cargo clippy $(IN_INTERLEAVINGS) --lib --tests -- --deny warnings
	cargo fmt --manifest-path miri/libdeflater/Cargo.toml --check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python tests/layers.py
	$(BIN)/python tests/wording.py
	$(BIN)/python tests/rust_examples.py
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(BIN)/stubtest capturefile --mypy-config-file pyproject.toml --allowlist tests/stubtest.allowlist

.PHONY: docs
docs: $(VENV)/writers ## Build the documentation site in target/site, with warnings as errors
	$(BIN)/python docs/build.py

.PHONY: pictures
pictures: $(VENV)/group-pictures $(VENV)/installed ## Draw the pictures of the command and, in Debian's Chromium, of the viewer
	$(BIN)/python docs/terminal.py
	$(BIN)/python docs/screenshots.py

.PHONY: test-rust
test-rust: ## Run the tests of the crate, which need no Python
	cargo test --locked --profile fast

.PHONY: test-interleavings
test-interleavings: ## Test what threads share, under a scheduler that tries many orders
	cargo test $(IN_INTERLEAVINGS) --profile fast

.PHONY: test-mutants
test-mutants: ## Check that the crash tests notice deliberate mistakes in copies of the crate
	$(PYTHON) tests/mutants.py

.PHONY: test-fuzz
test-fuzz: ## Replay known hostile files and operations, then fuzz for a minute
	cargo test $(IN_FUZZ) --profile fast
	fuzz/run 60 1

.PHONY: sanitize
sanitize: ## Run the crate's tests, except the crash tests, under valgrind
	cargo test --locked --profile fast --config "target.'cfg(unix)'.runner = ['valgrind', '--quiet', \
		'--error-exitcode=9', '--leak-check=no']" --lib --test core -- --skip simulation --skip inflated_once

.PHONY: sanitize-threads
sanitize-threads: ## Run the crate's tests, except the crash tests, under ThreadSanitizer, which finds races
	rustup component add rust-src --toolchain nightly
	RUSTFLAGS=-Zsanitizer=thread TSAN_OPTIONS=halt_on_error=1 cargo +nightly test --locked --profile fast -Zbuild-std \
		--target $(HOST) --target-dir target/sanitize-threads --lib --test core -- --skip simulation --skip inflated_once

.PHONY: miri
miri: ## Run the unit tests that need no file system under Miri, which finds undefined behaviour
	rustup component add rust-src miri --toolchain nightly
	miri/run

.PHONY: fuzz
fuzz: ## Search for new hostile files and operations for FUZZ_SECONDS
	fuzz/run $(FUZZ_SECONDS)

.PHONY: test-python
test-python: $(VENV)/tools $(VENV)/installed ## Run the tests of the package, from its wheel
	$(BIN)/pytest

.PHONY: test-data
test-data: $(VENV)/group-data $(VENV)/installed ## Test sequences with PyTorch and Grain; it installs several gigabytes
	$(BIN)/pytest tests/loaders.py
	$(BIN)/pytest tests/test_pages.py -k "pytorch.md or grain.md"

.PHONY: test-frames
test-frames: $(VENV)/group-frames $(VENV)/installed ## Test records in polars and pandas; it installs 400 MB
	$(BIN)/pytest tests/frames.py
	$(BIN)/pytest tests/test_pages.py -k arrow.md

.PHONY: test-spark
test-spark: $(VENV)/group-spark-engine $(VENV)/group-remote $(VENV)/installed ## Test capture files in Spark, which needs Java 17 and installs 650 MB
	$(BIN)/pytest tests/test_spark*.py tests/spark_engine.py
	$(BIN)/pytest tests/spark_remote.py
	$(BIN)/pytest tests/test_pages.py -k spark.md
	$(BIN)/pytest tests/test_docstrings.py -k spark

.PHONY: test-view
test-view: $(VENV)/group-browser $(VENV)/installed ## Test the viewer's page in Debian's Chromium, which must be installed
	$(BIN)/pytest tests/browsing.py

.PHONY: test-dask
test-dask: $(VENV)/group-dask $(VENV)/group-remote $(VENV)/installed ## Test data frames and bags of Dask in a cluster of processes
	$(BIN)/pytest tests/clustering.py tests/dask_remote.py
	$(BIN)/pytest tests/test_pages.py -k dask.md
	$(BIN)/pytest tests/test_docstrings.py -k dask

.PHONY: test-recipes
test-recipes: $(VENV)/group-recipes $(VENV)/installed ## Run the recipes for Ray Data and Daft; it installs 400 MB
	$(BIN)/pytest tests/recipes.py

.PHONY: test-tables
test-tables: $(VENV)/group-tables $(VENV)/installed ## Test records in Lance, Iceberg, Delta Lake and Daft; it installs 500 MB
	$(BIN)/pytest tests/table_formats.py

.PHONY: test-remote
test-remote: $(VENV)/group-remote $(VENV)/installed ## Read files from servers for S3, Google Cloud Storage, Azure and the web on the loopback; it installs 200 MB
	$(BIN)/pytest tests/remote_stores.py tests/remote_logs.py tests/remote_clouds.py
	$(BIN)/pytest tests/test_pages.py -k object-stores.md

.PHONY: test-services
test-services: $(VENV)/group-services $(VENV)/installed ## Run the recipes for gunicorn, uvicorn, Django and Celery, which it installs
	$(BIN)/pytest tests/servers.py

.PHONY: check-macos
check-macos: $(VENV)/group-cross ## Check that the crate, the extension and the crate's tests compile for macOS, without running them
	rustup target add $(MACOS)
	for target in $(MACOS); do $(WITH_ZIG) clippy --locked --all-targets --features python --target $$target \
		-- --deny warnings || exit; done

.PHONY: check-windows
check-windows: $(VENV)/group-cross ## Check that the crate, the extension and the crate's tests compile for Windows, without running them
	rustup target add $(WINDOWS) $(MSVC:=-pc-windows-msvc)
	rustup component add llvm-tools
	$(WITH_ZIG) clippy --locked --all-targets --features python --target $(WINDOWS) -- --deny warnings
	for machine in $(MSVC); do PATH="$(CURDIR)/$(BIN):$$PATH" env \
		CC_$${machine}_pc_windows_msvc="cargo-zigbuild zig cc -- -target $$machine-windows-gnu" \
		AR_$${machine}_pc_windows_msvc="$$(rustc --print sysroot)/lib/rustlib/$(HOST)/bin/llvm-ar" \
		cargo clippy --locked --all-targets --features python --target $$machine-pc-windows-msvc -- --deny warnings \
		|| exit; done

.PHONY: test-windows
test-windows: wine $(VENV)/made ## Run tests of the crate, and the wheel by a CPython for Windows, under wine
	$(IN_WINE) --lib -- --test-threads 1 storage:: lock:: format:: sync:: tree:: verify:: write:: --skip simulation \
		--skip as_if_they_came_one_by_one
	$(IN_WINE) --test core -- --test-threads 1 ::locking:: ::opening:: --skip replac --skip stays_in_its_format \
		--skip has_one_identity
	rm -rf target/wine/dist
	$(BIN)/maturin build --profile fast --locked --target $(WINDOWS) --out target/wine/dist
	$(BIN)/python tests/wine.py --wheel target/wine/dist/*.whl

.PHONY: wine
wine: mingw
	@command -v wine64 > /dev/null || test -x /usr/lib/wine/wine64 \
		|| { echo 'Installing wine with apt-get, as root' && apt-get update --quiet --quiet \
		&& apt-get install --quiet --quiet --yes --no-install-recommends wine64; } \
		|| { echo 'It takes the package wine64' >&2; exit 1; }

.PHONY: mingw
mingw:
	rustup target add $(WINDOWS)
	@command -v x86_64-w64-mingw32-gcc > /dev/null \
		|| { echo 'Installing a compiler for Windows with apt-get, as root' && apt-get update --quiet --quiet \
		&& apt-get install --quiet --quiet --yes --no-install-recommends gcc-mingw-w64-x86-64; } \
		|| { echo 'It takes the package gcc-mingw-w64-x86-64' >&2; exit 1; }

.PHONY: test-musl
test-musl: $(VENV)/group-cross ## Run the crate's tests, except the crash tests, and the Python tests with musl
	rustup target add $(MUSL)
	$(WITH_ZIG) test --locked --profile fast --target $(MUSL) --lib --test core -- --skip simulation
	rm -rf target/musl/dist
	$(FIND_ZIG) maturin build --profile fast --locked --zig --target $(MUSL) --out target/musl/dist
	$(BIN)/python tests/musl.py target/musl/dist/*.whl

.PHONY: test-arm64
test-arm64: emulator ## Run the crate's tests, except the crash tests, for arm64 in an emulator
	$(IN_ARM64) --lib --test core -- --skip simulation

.PHONY: simulate-arm64
simulate-arm64: emulator ## Run the crash tests for arm64 in an emulator, for hours
	$(IN_ARM64) --lib -- simulation

.PHONY: emulator
emulator:
	rustup target add $(ARM64)
	@command -v qemu-aarch64-static > /dev/null && command -v aarch64-linux-gnu-gcc > /dev/null \
		|| { echo 'Installing an emulator and a compiler with apt-get, as root' && apt-get update --quiet --quiet \
		&& apt-get install --quiet --quiet --yes --no-install-recommends qemu-user-static gcc-aarch64-linux-gnu \
		libc6-dev-arm64-cross; } \
		|| { echo 'It takes the programs qemu-aarch64-static and aarch64-linux-gnu-gcc' >&2; exit 1; }

.PHONY: findings
findings: ## Check whether surprising behaviour of other software still exists; it installs several gigabytes
	@status=0; for script in findings/*.sh; do echo "$$script"; "$$script" || status=1; done; exit $$status

.PHONY: soak
soak: $(VENV)/tools $(VENV)/installed ## Try for SOAK_SECONDS to make files lose data, and print what was tried
	$(BIN)/python tests/soak.py $(SOAK_SECONDS)

.PHONY: bench
bench: $(VENV)/peers $(VENV)/installed ## Compare the library with its peers; a table and plots are written to benchmarks/results
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/standalone.py

.PHONY: bench-quick
bench-quick: $(VENV)/peers $(VENV)/installed ## Check in a minute that the library is still as fast as before compared with its peers
	$(BIN)/python benchmarks/floors.py

.PHONY: bench-core
bench-core: ## Measure the crate without Python
	cargo bench --locked

.PHONY: format
format: $(VENV)/tools ## Format everything
	cargo fmt
	cargo fmt --manifest-path fuzz/Cargo.toml
	cargo fmt --manifest-path interleavings/Cargo.toml
	cargo fmt --manifest-path miri/libdeflater/Cargo.toml
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: wheel
wheel: $(VENV)/built ## Build the wheel into dist/

.PHONY: trained
trained: $(VENV)/made ## Build and install the wheel as in releases, with profile-guided optimisation
	rustup component add llvm-tools
	rm -rf dist
	$(BIN)/maturin build --release --locked --pgo --out dist
	$(BIN)/pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $(VENV)/built $(VENV)/installed

.PHONY: release
release: $(VENV)/made ## Build the source package and, from it, a wheel into dist/
	rm -rf dist
	$(BIN)/maturin sdist --out dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist dist/*.tar.gz

.PHONY: wheels
wheels: $(VENV)/made mingw ## Build the source package, wheels for Linux on x86-64 and arm64, with glibc and musl, for all interpreters, and the one for Windows with the stable ABI, into dist/
	$(BIN)/pip install --quiet --group wheels
	rm -rf dist
	$(BIN)/maturin sdist --out dist
	for target in $(LINUX); do \
		$(CROSS_WHEEL) --target $$target \
		&& $(CROSS_WHEEL) --target $$target --interpreter python3.14t \
		&& $(CROSS_WHEEL) --target $$target --interpreter python3.15t --features python-free-threaded \
		|| exit; \
	done
	$(BIN)/maturin build --release --locked --target $(WINDOWS) --out dist

.PHONY: smoke
smoke: $(VENV)/installed ## Check whether the wheel works on this machine
	$(BIN)/python examples/smoke.py

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf $(VENV) dist target fuzz/target fuzz/found .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --group release
	touch $@

$(VENV)/tools: $(VENV)/made pyproject.toml
	$(BIN)/pip install --group $(TEST_GROUP)
	touch $@

$(VENV)/writers: $(VENV)/made pyproject.toml
	$(BIN)/pip install --group docs
	touch $@

# Installs the packages of an optional suite, by the name of its group.
$(VENV)/group-%: $(VENV)/tools
	$(BIN)/pip install --group $*
	touch $@

$(VENV)/peers: $(VENV)/made pyproject.toml
	$(BIN)/pip install --group bench
	touch $@

$(VENV)/built: $(VENV)/made $(SOURCES)
	rm -rf dist
	$(BIN)/maturin build --release --locked --features $(FEATURES) --out dist
	touch $@

$(VENV)/installed: $(VENV)/built
	$(BIN)/pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@
